//! Reads a kernel table's header out of a library that is not opened.

use object::{
    Architecture, BinaryFormat, ExportTarget, File, FileKind, NameOrOrdinal, Object as _,
    ObjectKind, ObjectSegment as _, ObjectSymbol as _, SymbolKind,
};
use tritone_abi::host::check_header;
use tritone_abi::table::{Header, KernelTable, TABLE_BYTES, text_of};
use tritone_abi::{Ops, SYMBOL_PREFIX};

use crate::reason::RefusedReason;

/// Bytes of a [`Header`].
pub(crate) const HEADER_BYTES: usize = size_of::<Header>();

/// A plugin whose file is in order, as far as can be told without opening it.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// Name of the exported table.
    pub symbol: String,
    /// The table's header; it passed [`check_header`].
    pub header: Header,
    /// The header as it lies in the file.
    pub(crate) bytes: [u8; HEADER_BYTES],
}

/// Checks the bytes of a plugin file: a complete shared library for this machine that exports one
/// kernel table with a valid header. Runs no code of the file.
///
/// # Errors
/// The first rule that is broken; never panics, whatever the bytes.
pub fn inspect_file(bytes: &[u8]) -> Result<Inspected, RefusedReason> {
    if bytes.is_empty() {
        return Err(RefusedReason::Empty);
    }
    let file = parse(bytes)?;
    check_machine(&file)?;
    check_complete(&file, bytes.len())?;
    let symbol = the_symbol(&file)?;
    let no_table = |problem: String| RefusedReason::NoTable {
        symbol: symbol.name.clone(),
        problem,
    };
    if symbol.is_function {
        return Err(no_table("it is a function, not data".into()));
    }
    // A header may be shorter than a table of this version: first say what it is, then that it
    // is too short.
    let data = data_at(&file, symbol.address, HEADER_BYTES)
        .and_then(|d| d.first_chunk::<HEADER_BYTES>())
        .ok_or_else(|| no_table("its bytes are not in the file".into()))?;
    let header = parse_header(data);
    check_header(&header)?;
    let needed = TABLE_BYTES.max(header.size as usize);
    if let Some(size) = symbol.size.filter(|size| *size < needed as u64) {
        return Err(no_table(format!("{size} bytes long, {needed} needed")));
    }
    if data_at(&file, symbol.address, needed).is_none() {
        return Err(no_table("its bytes are not in the file".into()));
    }
    if !symbol
        .address
        .is_multiple_of(align_of::<KernelTable>() as u64)
    {
        return Err(no_table("it is not aligned".into()));
    }
    let name = text_of(&header.name).unwrap_or_default();
    if symbol.name.strip_prefix(SYMBOL_PREFIX) != Some(name) {
        return Err(RefusedReason::NameMismatch {
            name: name.to_owned(),
            symbol: symbol.name,
        });
    }
    if header.ops & Ops::ALL.0 == 0 {
        return Err(RefusedReason::NoOperation);
    }
    Ok(Inspected {
        bytes: *data,
        header,
        symbol: symbol.name,
    })
}

fn damaged(error: object::Error) -> RefusedReason {
    RefusedReason::Damaged(error.to_string())
}

fn parse(bytes: &[u8]) -> Result<File<'_>, RefusedReason> {
    let wrong = |found: String| RefusedReason::WrongFormat {
        found,
        expected: format!("{:?}", BinaryFormat::native_object()),
    };
    let kind = FileKind::parse(bytes).map_err(|_| RefusedReason::NotALibrary)?;
    let (FileKind::Elf32
    | FileKind::Elf64
    | FileKind::MachO32
    | FileKind::MachO64
    | FileKind::Pe32
    | FileKind::Pe64) = kind
    else {
        return Err(wrong(format!("{kind:?}")));
    };
    let file = File::parse(bytes).map_err(damaged)?;
    // `native_object` names COFF on Windows, whose linked form is PE.
    let expected = match BinaryFormat::native_object() {
        BinaryFormat::Coff => BinaryFormat::Pe,
        other => other,
    };
    if file.format() != expected {
        return Err(wrong(format!("{:?}", file.format())));
    }
    Ok(file)
}

fn check_machine(file: &File<'_>) -> Result<(), RefusedReason> {
    let expected = native_architecture();
    let same = file.architecture() == expected
        && expected != Architecture::Unknown
        && file.is_64() == (usize::BITS == 64)
        && file.is_little_endian() == cfg!(target_endian = "little");
    if !same {
        let bits = if file.is_64() { 64 } else { 32 };
        let order = if file.is_little_endian() {
            "little"
        } else {
            "big"
        };
        return Err(RefusedReason::WrongArchitecture {
            found: format!("{:?} ({bits}-bit, {order}-endian)", file.architecture()),
            expected: std::env::consts::ARCH.to_owned(),
        });
    }
    if file.kind() != ObjectKind::Dynamic {
        return Err(RefusedReason::WrongFormat {
            found: format!("{:?} file", file.kind()),
            expected: "a dynamic library".to_owned(),
        });
    }
    Ok(())
}

fn native_architecture() -> Architecture {
    match std::env::consts::ARCH {
        "x86_64" => Architecture::X86_64,
        "x86" => Architecture::I386,
        "aarch64" => Architecture::Aarch64,
        "arm" => Architecture::Arm,
        "riscv64" => Architecture::Riscv64,
        "loongarch64" => Architecture::LoongArch64,
        "powerpc64" => Architecture::PowerPc64,
        "s390x" => Architecture::S390x,
        _ => Architecture::Unknown,
    }
}

/// Everything the linker would map is there: touching a mapped page behind the end of a file
/// kills the process.
fn check_complete(file: &File<'_>, len: usize) -> Result<(), RefusedReason> {
    for segment in file.segments() {
        let (offset, size) = segment.file_range();
        if offset.checked_add(size).is_none_or(|end| end > len as u64) {
            return Err(RefusedReason::Damaged(format!(
                "a segment of {size} bytes at {offset} leaves the file of {len} bytes"
            )));
        }
    }
    Ok(())
}

struct TableSymbol {
    name: String,
    address: u64,
    /// Bytes, where the format records them.
    size: Option<u64>,
    is_function: bool,
}

fn the_symbol(file: &File<'_>) -> Result<TableSymbol, RefusedReason> {
    let mut symbols = match file.format() {
        BinaryFormat::Elf => elf_symbols(file)?,
        _ => exported_symbols(file)?,
    };
    match (symbols.pop(), symbols.is_empty()) {
        (None, _) => Err(RefusedReason::NoSymbol),
        (Some(one), true) => Ok(one),
        (Some(last), false) => {
            symbols.push(last);
            let mut names: Vec<_> = symbols.into_iter().map(|s| s.name).collect();
            names.sort();
            Err(RefusedReason::ManySymbols(names))
        }
    }
}

/// The name, escaped for people, when it starts like a table's.
fn table_name(name: &[u8]) -> Option<String> {
    let name = String::from_utf8_lossy(name);
    name.starts_with(SYMBOL_PREFIX)
        .then(|| name.escape_debug().to_string())
}

fn elf_symbols(file: &File<'_>) -> Result<Vec<TableSymbol>, RefusedReason> {
    let mut found = Vec::new();
    for symbol in file.dynamic_symbols().filter(|s| !s.is_undefined()) {
        if let Some(name) = table_name(symbol.name_bytes().map_err(damaged)?) {
            found.push(TableSymbol {
                name,
                address: symbol.address(),
                size: Some(symbol.size()),
                is_function: symbol.kind() != SymbolKind::Data,
            });
        }
    }
    Ok(found)
}

fn exported_symbols(file: &File<'_>) -> Result<Vec<TableSymbol>, RefusedReason> {
    let mut found = Vec::new();
    for export in file.exports().map_err(damaged)? {
        let export = export.map_err(damaged)?;
        let (NameOrOrdinal::Name(name), ExportTarget::Address { address }) =
            (export.name(), export.target())
        else {
            continue;
        };
        // Mach-O puts an underscore before every C name.
        let name = match file.format() {
            BinaryFormat::MachO => name.strip_prefix(b"_").unwrap_or(name),
            _ => name,
        };
        found.extend(table_name(name).map(|name| TableSymbol {
            name,
            address,
            size: None,
            is_function: false,
        }));
    }
    Ok(found)
}

/// The bytes at `address`, if one segment holds them all in the file.
fn data_at<'data>(file: &File<'data>, address: u64, len: usize) -> Option<&'data [u8]> {
    file.segments()
        .find_map(|s| s.data_range(address, len as u64).ok().flatten())
}

/// The header in the byte order of this machine, which was checked to be the file's.
fn parse_header(bytes: &[u8; HEADER_BYTES]) -> Header {
    let mut reader = Reader { bytes, at: 0 };
    Header {
        size: u32::from_ne_bytes(reader.take()),
        abi_version: u32::from_ne_bytes(reader.take()),
        magic: reader.take(),
        name: reader.take(),
        version: reader.take(),
        build_id: reader.take(),
        isa: reader.take(),
        layout: u32::from_ne_bytes(reader.take()),
        row_align: u32::from_ne_bytes(reader.take()),
        ops: u32::from_ne_bytes(reader.take()),
        reserved: u32::from_ne_bytes(reader.take()),
    }
}

/// Takes fixed-length fields one after another; [`Header`] has no padding.
struct Reader<'a> {
    bytes: &'a [u8; HEADER_BYTES],
    at: usize,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut field = [0; N];
        field.copy_from_slice(&self.bytes[self.at..self.at + N]);
        self.at += N;
        field
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_fields_stand_where_the_table_has_them() {
        let mut bytes = [0u8; HEADER_BYTES];
        for (i, b) in bytes.iter_mut().enumerate() {
            *b = i as u8;
        }
        let header = parse_header(&bytes);
        let word = |at: usize| u32::from_ne_bytes([0, 1, 2, 3].map(|i| (at + i) as u8));
        assert_eq!(header.size, word(0));
        assert_eq!(
            header.magic[0] as usize,
            std::mem::offset_of!(Header, magic)
        );
        assert_eq!(
            header.name[31] as usize,
            std::mem::offset_of!(Header, name) + 31
        );
        assert_eq!(header.isa[0] as usize, std::mem::offset_of!(Header, isa));
        assert_eq!(header.layout, word(std::mem::offset_of!(Header, layout)));
        assert_eq!(header.reserved, word(HEADER_BYTES - 4));
    }

    #[test]
    fn things_that_are_no_library_are_told_apart() {
        let text = |bytes: &[u8]| inspect_file(bytes).unwrap_err().to_string();
        assert_eq!(text(b""), "the file is empty");
        assert_eq!(text(b"x"), "not a shared library");
        assert_eq!(text(&[b'#'; 4096]), "not a shared library");
        assert!(text(b"!<arch>\n12345678901234567890").contains("found Archive"));
        // This test program itself exports no kernel, or is a plain executable.
        let me = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(matches!(
            inspect_file(&me),
            Err(RefusedReason::NoSymbol | RefusedReason::WrongFormat { .. })
        ));
    }
}
