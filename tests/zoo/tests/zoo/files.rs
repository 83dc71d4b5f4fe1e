//! Files, links and directories around a plugin.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use tritone_loader::{MAX_FILE_BYTES, Origin};

use crate::cage::{Cage, discover, set_mode, specimen};

fn stranger() -> Vec<u8> {
    fs::read(specimen("good_stranger")).unwrap()
}

fn refused_bytes(bytes: &[u8]) -> String {
    let cage = Cage::new();
    cage.write("x", bytes);
    cage.refusal()
}

#[test]
fn files_that_others_can_write_are_refused() {
    for (mode, who) in [(0o646, "others"), (0o664, "its group"), (0o666, "others")] {
        let cage = Cage::new();
        let path = cage.plant("good_stranger", "x");
        set_mode(&path, mode);
        let expected = format!(
            "{path:?} can be written by {who} (mode {mode:03o}); if you trust it, run `chmod go-w` \
             on it"
        );
        assert_eq!(cage.refusal(), expected);
    }
}

#[test]
fn directories_that_others_can_write_are_refused() {
    for (mode, who) in [(0o777, "others"), (0o1777, "others"), (0o775, "its group")] {
        let cage = Cage::with(&["good_stranger"]);
        set_mode(&cage.path(), mode);
        let refusal = cage.refusal();
        let expected = format!("{:?} can be written by {who} (mode {mode:o})", cage.path());
        assert!(refusal.starts_with(&expected), "{refusal}");
    }
}

#[test]
fn a_link_to_a_good_plugin_is_followed() {
    let (real, links) = (Cage::with(&["good_stranger"]), Cage::new());
    symlink(real.file("good_stranger"), links.file("x")).unwrap();
    let registry = links.discover();
    assert!(registry.refused().is_empty(), "{registry:?}");
    let origin = Origin::File(real.file("good_stranger"));
    assert_eq!(registry.kernels()[0].origin, origin);
    // Found again through the real directory, it is the same kernel, not a rival of itself.
    let both = discover(&[&links, &real], "");
    assert_eq!(both.kernels().len(), 2, "{both:?}");
    assert!(both.kernels().iter().all(|f| f.is_usable()));
}

#[test]
fn a_link_is_worth_no_more_than_its_directories() {
    let (real, links) = (Cage::with(&["good_stranger"]), Cage::new());
    symlink(real.file("good_stranger"), links.file("x")).unwrap();
    set_mode(&links.path(), 0o777);
    let refusal = links.refusal();
    assert!(
        refusal.starts_with(&format!("{:?} can be", links.path())),
        "{refusal}"
    );
    // The plugin itself is in order, and is taken when it is found through its own directory.
    let both = discover(&[&links, &real], "");
    assert!(both.by_name("stranger").is_ok());
    assert_eq!(both.refused().len(), 1);

    set_mode(&links.path(), 0o755);
    set_mode(&real.path(), 0o777);
    let refusal = links.refusal();
    assert!(
        refusal.starts_with(&format!("{:?} can be", real.path())),
        "{refusal}"
    );
}

#[test]
fn things_that_are_no_files_are_refused() {
    let cage = Cage::new();
    symlink("/nowhere/plugin.so", cage.file("x")).unwrap();
    assert_eq!(
        cage.refusal(),
        "dangling symbolic link to \"/nowhere/plugin.so\""
    );

    let cage = Cage::new();
    fs::create_dir(cage.file("x")).unwrap();
    set_mode(&cage.file("x"), 0o755);
    assert_eq!(cage.refusal(), "not a regular file but a directory");

    let cage = Cage::new();
    let _listener = UnixListener::bind(cage.file("x")).unwrap();
    assert_eq!(
        cage.refusal(),
        "not a regular file but a pipe, socket or device"
    );

    let cage = Cage::new();
    symlink(cage.file("x"), cage.file("x")).unwrap();
    let refusal = cage.refusal();
    assert!(
        refusal.starts_with("cannot resolve the path: "),
        "{refusal}"
    );
}

#[test]
fn files_that_are_no_libraries_are_refused() {
    assert_eq!(refused_bytes(b""), "the file is empty");
    assert_eq!(
        refused_bytes(b"#!/bin/sh\necho I am a kernel\n"),
        "not a shared library"
    );
    let noise: Vec<u8> = (0..100_000u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    assert_eq!(refused_bytes(&noise), "not a shared library");
}

#[test]
fn a_file_beyond_the_limit_is_not_read() {
    let cage = Cage::new();
    let path = cage.plant("good_stranger", "x");
    let file = File::options().write(true).open(path).unwrap();
    file.set_len(MAX_FILE_BYTES + 1).unwrap();
    let expected = format!(
        "{} bytes long, a plugin has at most {MAX_FILE_BYTES}",
        MAX_FILE_BYTES + 1
    );
    assert_eq!(cage.refusal(), expected);
    file.set_len(1 << 40).unwrap();
    assert!(cage.refusal().starts_with("1099511627776 bytes long"));
}

#[test]
fn truncated_libraries_are_refused() {
    let whole = stranger();
    for len in [64, 4096, whole.len() / 2, whole.len() - 1] {
        let refusal = refused_bytes(&whole[..len]);
        let expected = "damaged or truncated shared library: ";
        assert!(refusal.starts_with(expected), "{len} bytes: {refusal}");
    }
}

/// Offset of the first loadable segment's entry in a 64-bit ELF file's program headers.
fn first_load(elf: &[u8]) -> usize {
    let start = u64::from_le_bytes(elf[32..40].try_into().unwrap()) as usize;
    let entries = (start..).step_by(56);
    entries
        .into_iter()
        .find(|at| elf[*at..*at + 4] == [1, 0, 0, 0])
        .unwrap()
}

#[test]
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
fn a_segment_behind_the_end_of_the_file_is_refused() {
    let mut elf = stranger();
    let at = first_load(&elf) + 32;
    let size = elf.len() as u64 + 1;
    elf[at..at + 8].copy_from_slice(&size.to_le_bytes());
    let refusal = refused_bytes(&elf);
    let expected = format!(
        "damaged or truncated shared library: a segment of {size} bytes at 0 leaves the file of \
         {} bytes",
        elf.len()
    );
    assert_eq!(refusal, expected);
}

#[test]
#[cfg(target_os = "linux")]
fn libraries_of_other_processors_are_refused() {
    let mut elf = stranger();
    let (machine, name) = if cfg!(target_arch = "x86_64") {
        (183u16, "Aarch64")
    } else {
        (62, "X86_64")
    };
    elf[18..20].copy_from_slice(&machine.to_le_bytes());
    let refusal = refused_bytes(&elf);
    let expected = format!(
        "built for another processor: expected {}, found {name} (64-bit, little-endian)",
        std::env::consts::ARCH
    );
    assert_eq!(refusal, expected);

    // A position-dependent executable, though it exports a kernel.
    let mut elf = stranger();
    elf[16..18].copy_from_slice(&2u16.to_le_bytes());
    let refusal = refused_bytes(&elf);
    let expected = "expected a dynamic library, found Executable file";
    assert!(refusal.ends_with(expected), "{refusal}");
}

#[test]
fn a_plugin_that_was_replaced_is_opened_anew() {
    let cage = Cage::with(&["good_stranger"]);
    assert!(cage.discover().by_name("stranger").is_ok());
    fs::remove_file(cage.file("good_stranger")).unwrap();
    cage.plant("matmul_panics", "good_stranger");
    let registry = cage.discover();
    assert!(registry.by_name("stranger").is_err());
    assert!(registry.by_name("matmul_panics").is_ok());
}

#[test]
fn a_plugin_that_changed_while_it_is_open_is_refused() {
    let cage = Cage::with(&["good_stranger"]);
    assert!(cage.discover().by_name("stranger").is_ok());
    assert!(cage.discover().by_name("stranger").is_ok(), "found again");
    let path = cage.file("good_stranger");
    let mut file = File::options().append(true).open(path).unwrap();
    file.write_all(b"more").unwrap();
    assert_eq!(
        cage.refusal(),
        "changed while in use; restart the program to take the new file"
    );
}

#[test]
fn only_plugin_names_in_searched_directories_count() {
    let cage = Cage::new();
    let bytes = stranger();
    fs::write(cage.path().join("libother.so"), &bytes).unwrap();
    fs::write(cage.path().join("libtritone_x.so.bak"), &bytes).unwrap();
    fs::create_dir(cage.path().join("sub")).unwrap();
    fs::write(cage.path().join("sub/libtritone_x.so"), &bytes).unwrap();
    let registry = cage.discover();
    assert_eq!(registry.kernels().len(), 1, "{registry:?}");
    assert!(registry.refused().is_empty(), "{registry:?}");
}
