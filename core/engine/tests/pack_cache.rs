//! Packs: written once, used from then on, and never trusted without a look.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

mod common;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use common::{TINY, best_kernel, bits, logits};
use proptest::prelude::*;
use tempfile::TempDir;
use tritone_engine::{
    Capacity, Engine, EngineOptions, Forms, Head, LoadedFrom, Model, ModelSource, PackCache,
    PackState, Runner, RunnerOptions, packs,
};

/// A copy of the tiny model in a directory of its own, with a directory for packs.
struct Place {
    home: TempDir,
    cache: PackCache,
}

impl Place {
    fn new() -> Self {
        let home = TempDir::new().unwrap();
        fs::copy(TINY, home.path().join("tiny.gguf")).unwrap();
        let cache = PackCache {
            dir: Some(home.path().join("packs")),
            ..PackCache::default()
        };
        Self { home, cache }
    }

    fn model(&self) -> PathBuf {
        self.home.path().join("tiny.gguf")
    }

    /// Loads the engine, lets it write its packs, and says how the weights came and what was said.
    fn start(&self, head: Head) -> (LoadedFrom, LoadedFrom, Vec<String>) {
        let options = EngineOptions {
            forms: forms(head),
            pack_cache: self.cache.clone(),
            ..EngineOptions::new(best_kernel())
        };
        let engine = Engine::load(&ModelSource::File(self.model()), &options, &mut |_| true);
        let engine = engine.unwrap();
        let info = engine.info();
        let mut notices = info.notices.clone();
        notices.extend(engine.wait_for_packs(&mut |_| true));
        assert!(engine.wait_for_packs(&mut |_| true).is_empty(), "said once");
        let load = &info.load;
        (load.weights.from.clone(), load.head.from.clone(), notices)
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> = fs::read_dir(self.cache.dir.as_ref().unwrap())
            .map(|dir| dir.map(|entry| entry.unwrap().path()).collect())
            .unwrap_or_default();
        files.sort();
        files
    }

    fn weights_pack(&self) -> PathBuf {
        let files = self.files();
        let is_weights = |path: &&PathBuf| !path.to_string_lossy().contains(".head-");
        files.iter().find(is_weights).unwrap().clone()
    }

    /// Logits with whatever the cache holds, and where the weights came from.
    fn logits(&self) -> (Vec<Vec<u32>>, LoadedFrom, Vec<String>) {
        let model = Arc::new(Model::open(&ModelSource::File(self.model())).unwrap());
        let options = RunnerOptions {
            pack_cache: self.cache.clone(),
            forms: forms(Head::Q6),
            ..RunnerOptions::new(best_kernel(), capacity())
        };
        let mut runner = Runner::load(model, options, &mut |_| true).unwrap();
        let from = runner.report().weights.from.clone();
        let notices = runner.notices().to_vec();
        (bits(&logits(&mut runner, &TOKENS, 8)), from, notices)
    }
}

const TOKENS: [u32; 12] = [1, 77, 300, 5, 9, 1000, 42, 42, 7, 2, 19, 600];

fn capacity() -> Capacity {
    Capacity {
        logit_rows: 16,
        ..Capacity::new(64, 1, 16)
    }
}

fn forms(head: Head) -> Forms {
    Forms {
        head,
        ..Forms::default()
    }
}

fn is_cache(from: &LoadedFrom) -> bool {
    matches!(from, LoadedFrom::Cache(_))
}

#[test]
fn a_second_start_maps_what_the_first_one_packed() {
    let place = Place::new();
    let (fresh, from, _) = place.logits();
    assert_eq!(from, LoadedFrom::Packed);

    let (weights, head, notices) = place.start(Head::Q6);
    assert_eq!((weights, head), (LoadedFrom::Packed, LoadedFrom::Packed));
    assert_eq!(place.files().len(), 2, "weights and head, nothing else");
    for (notice, file) in notices.iter().zip([1, 0]) {
        let path = place.files()[file].display().to_string();
        assert!(notice.contains("wrote the packed cache"), "{notice}");
        assert!(notice.contains(&path), "{notice}");
    }
    let before: Vec<_> = place.files().iter().map(|f| fs::read(f).unwrap()).collect();

    let (weights, head, notices) = place.start(Head::Q6);
    assert!(
        is_cache(&weights) && is_cache(&head),
        "{weights:?} {head:?}"
    );
    assert!(notices.is_empty(), "{notices:?}");
    // The same bits, and another head with the same weights.
    let (again, from, _) = place.logits();
    assert!(is_cache(&from) && again == fresh);
    let (weights, head, _) = place.start(Head::F16);
    assert!(is_cache(&weights) && head == LoadedFrom::Model);
    let after: Vec<_> = place.files().iter().map(|f| fs::read(f).unwrap()).collect();
    assert!(before == after, "packs that are right are left alone");
}

#[test]
fn nothing_is_kept_unless_it_is_asked_for_or_worth_it() {
    let mut place = Place::new();
    place.cache.least_bytes = 1 << 30;
    let (_, _, notices) = place.start(Head::Q6);
    assert!(notices.is_empty() && place.files().is_empty());
    let dir = place.cache.dir.clone();
    place.cache = PackCache::default();
    let _ = place.start(Head::Q6);
    place.cache.dir = dir;
    assert!(place.files().is_empty());
}

/// Does something to the pack of the weights, and starts again.
fn after(damage: impl FnOnce(&Path)) -> (LoadedFrom, Vec<String>) {
    let place = Place::new();
    let _ = place.start(Head::Q6);
    let (fresh, from, _) = place.logits();
    assert!(is_cache(&from));
    damage(&place.weights_pack());
    let (bits, from, notices) = place.logits();
    assert!(bits == fresh, "the answer never depends on a pack");
    // What was not used is replaced.
    let _ = place.start(Head::Q6);
    (from, notices)
}

type Damage = fn(&mut Vec<u8>);

fn rewrite(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn damaged_packs_are_left_aside_and_that_is_said() {
    let cases: [(&str, Damage); 6] = [
        ("cut short", |b| b.truncate(b.len() - 1)),
        ("cut short", |b| b.truncate(100)),
        ("cut short", Vec::clear),
        ("cut short", |b| b.push(0)),
        ("wrong checksum", |b| *b.last_mut().unwrap() ^= 1),
        ("wrong checksum", |b| b[3 << 20] ^= 0x80),
    ];
    for (says, change) in cases {
        let (from, notices) = after(|path| rewrite(path, change));
        assert_eq!(from, LoadedFrom::Packed);
        let said = notices
            .iter()
            .any(|n| n.contains(says) && n.contains(".tritone-pack"));
        assert!(said, "{says}: {notices:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever happened to a pack, and however much: the logits are those of the model.
    #[test]
    fn any_damage_leaves_the_logits(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 0..6),
        length in prop::option::weighted(0.3, any::<prop::sample::Index>()),
        copied in prop::option::weighted(0.3, (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 1..5000usize)),
    ) {
        let (place, fresh, pack) = &*PACKED;
        let mut bytes = pack.clone();
        for (at, byte, in_header) in &edits {
            let end = if *in_header { 256 } else { bytes.len() };
            bytes[at.index(end)] = *byte;
        }
        if let Some((from, to, len)) = &copied {
            let (from, to) = (from.index(bytes.len() - len), to.index(bytes.len() - len));
            bytes.copy_within(from..from + len, to);
        }
        if let Some(length) = &length {
            bytes.truncate(length.index(bytes.len()));
        }
        // The hole before the data is not read.
        let whole = bytes.len() == pack.len()
            && bytes[..256] == pack[..256]
            && bytes[2 << 20..] == pack[2 << 20..];
        fs::write(place.weights_pack(), &bytes).unwrap();
        let (logits, from, _) = place.logits();
        prop_assert!(logits == *fresh);
        prop_assert_eq!(is_cache(&from), whole);
    }
}

/// A place with packs, the logits, and the pack of the weights.
static PACKED: LazyLock<(Place, Vec<Vec<u32>>, Vec<u8>)> = LazyLock::new(|| {
    let place = Place::new();
    let _ = place.start(Head::Q6);
    let (fresh, from, _) = place.logits();
    assert!(is_cache(&from));
    let pack = fs::read(place.weights_pack()).unwrap();
    (place, fresh, pack)
});

#[test]
fn packs_of_another_version_are_packed_anew_without_a_word() {
    for at in [0, 8, 12, 16, 20, 24, 60, 84, 250] {
        let (from, notices) = after(|path| rewrite(path, |b| b[at] ^= 1));
        assert_eq!(from, LoadedFrom::Packed, "byte {at}");
        assert!(notices.is_empty(), "{notices:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_pack_that_others_can_write_to_is_not_read() {
    use std::os::unix::fs::PermissionsExt as _;
    for mode in [0o666, 0o664, 0o646] {
        let (from, notices) = after(|path| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        });
        assert_eq!(from, LoadedFrom::Packed);
        assert!(notices[0].contains("others can write to it"), "{notices:?}");
    }
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_not_read() {
    let (from, notices) = after(|path| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
        fs::write(path.join("x"), "x").unwrap();
    });
    assert_eq!(from, LoadedFrom::Packed);
    assert!(notices[0].contains("no regular file"), "{notices:?}");
    // Opening a pipe that nobody writes to would wait for ever.
    let (from, notices) = after(|path| {
        fs::remove_file(path).unwrap();
        let made = std::process::Command::new("mkfifo").arg(path).status();
        assert!(made.unwrap().success());
    });
    assert_eq!(from, LoadedFrom::Packed);
    assert!(notices[0].contains("no regular file"), "{notices:?}");
}

/// Exchanges one byte of ternary data that no sample sees, and keeps the time of the last change if
/// `hide`.
fn change_model(path: &Path, hide: bool) {
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    let file = tritone_formats::GgufFile::new(fs::read(path).unwrap()).unwrap();
    let view = file.require_tensor("blk.3.attn_v.weight").unwrap();
    let part = file.part(0).unwrap();
    let (data, range) = (part.data_offset(), view.byte_range());
    let rest = part.bytes().len() - data;
    let step = (rest - 4096) / 63;
    assert!(step > 4096 * 2, "there is room between samples");
    let at = range
        .clone()
        .find(|at| (at - data) % step > 8192 && part.bytes()[*at] & 0b11 != 0b01)
        .unwrap();
    let mut bytes = part.bytes().to_vec();
    bytes[at] = bytes[at] & !0b11 | 0b01;
    let out = File::options().write(true).open(path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&out, &bytes, 0).unwrap();
    if hide {
        out.set_modified(modified).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn a_model_that_changed_is_packed_anew() {
    let place = Place::new();
    let _ = place.start(Head::Q6);
    let (old, ..) = place.logits();
    change_model(&place.model(), false);
    let (new, from, notices) = place.logits();
    assert_eq!(from, LoadedFrom::Packed);
    assert!(notices.is_empty(), "nobody did anything wrong: {notices:?}");
    assert!(new != old, "the change reaches the logits");
    // The head has not changed, and is found to be the same.
    let (_, head, _) = place.start(Head::Q6);
    assert!(is_cache(&head));
    let (again, from, _) = place.logits();
    assert!(is_cache(&from) && again == new);
}

#[cfg(unix)]
#[test]
fn a_hidden_change_is_found_when_it_is_looked_for() {
    let mut place = Place::new();
    let _ = place.start(Head::Q6);
    change_model(&place.model(), true);
    let (_, from, _) = place.logits();
    assert!(is_cache(&from), "time and samples are the same");
    place.cache.verify = true;
    let (_, from, _) = place.logits();
    assert_eq!(from, LoadedFrom::Packed);
}

#[test]
fn a_touched_or_copied_model_keeps_its_packs() {
    let place = Place::new();
    let _ = place.start(Head::Q6);
    let path = place.weights_pack();
    let before = fs::read(&path).unwrap();
    let copy = fs::read(place.model()).unwrap();
    fs::remove_file(place.model()).unwrap();
    fs::write(place.model(), copy).unwrap();
    let (weights, head, notices) = place.start(Head::Q6);
    assert!(is_cache(&weights) && is_cache(&head));
    assert_eq!(
        notices.len(),
        2,
        "both are written with the new time: {notices:?}"
    );
    let after = fs::read(&path).unwrap();
    assert!(before[..256] != after[..256] && before[256..] == after[256..]);
    let (_, _, notices) = place.start(Head::Q6);
    assert!(notices.is_empty());
}

#[test]
fn two_at_once_leave_a_valid_pack_and_nothing_else() {
    let place = Place::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let (_, _, notices) = place.start(Head::Q6);
                let failed = notices.iter().any(|n| n.contains("no packed cache"));
                assert!(!failed, "{notices:?}");
            });
        }
    });
    assert_eq!(place.files().len(), 2, "{:?}", place.files());
    let (weights, head, _) = place.start(Head::Q6);
    assert!(is_cache(&weights) && is_cache(&head));
}

#[test]
fn a_place_that_cannot_be_written_to_is_a_notice() {
    let mut place = Place::new();
    let file = place.home.path().join("file");
    fs::write(&file, "x").unwrap();
    place.cache.dir = Some(file.join("packs"));
    let (weights, _, notices) = place.start(Head::F16);
    assert_eq!(weights, LoadedFrom::Packed);
    assert_eq!(notices.len(), 1);
    assert!(
        notices[0].contains("no packed cache was written"),
        "{notices:?}"
    );
    assert!(notices[0].contains("packs"), "{notices:?}");
}

#[test]
fn giving_up_leaves_nothing_behind() {
    let place = Place::new();
    let options = EngineOptions {
        pack_cache: place.cache.clone(),
        ..EngineOptions::new(best_kernel())
    };
    // Whether the thread has begun or is done by then differs from run to run.
    for round in 0..8 {
        let engine = Engine::load(&ModelSource::File(place.model()), &options, &mut |_| true);
        let engine = engine.unwrap();
        if round % 2 == 0 {
            let _ = engine.wait_for_packs(&mut |_| false);
        }
        drop(engine);
        let temporary = |path: &PathBuf| path.to_string_lossy().ends_with(".tmp");
        assert!(!place.files().iter().any(temporary), "{:?}", place.files());
    }
}

#[cfg(unix)]
#[test]
fn packs_lie_beside_a_model_in_a_directory_of_ones_own_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut place = Place::new();
    place.cache.beside = true;
    let beside = place.home.path().join("tiny.gguf.t2r32.tritone-pack");

    let open = fs::Permissions::from_mode(0o777);
    fs::set_permissions(place.home.path(), open).unwrap();
    let _ = place.start(Head::F16);
    assert!(!beside.exists() && place.files().len() == 1);

    fs::remove_file(place.weights_pack()).unwrap();
    let own = fs::Permissions::from_mode(0o755);
    fs::set_permissions(place.home.path(), own).unwrap();
    let _ = place.start(Head::F16);
    assert!(beside.exists() && place.files().is_empty());
    let (weights, ..) = place.start(Head::F16);
    assert_eq!(weights, LoadedFrom::Cache(beside));

    // A link is how stores of models show their files.
    let store = TempDir::new().unwrap();
    std::os::unix::fs::symlink(place.model(), store.path().join("tiny.gguf")).unwrap();
    let linked = Place {
        home: store,
        cache: place.cache.clone(),
    };
    let _ = linked.start(Head::F16);
    let names = fs::read_dir(linked.home.path()).unwrap().count();
    assert_eq!((names, linked.files().len()), (1, 1));
}

#[cfg(unix)]
#[test]
fn whoever_may_not_read_the_model_may_not_read_its_packs() {
    use std::os::unix::fs::PermissionsExt as _;
    for (model, others) in [(0o600, 0), (0o640, 0o040), (0o666, 0o044)] {
        let place = Place::new();
        let mode = fs::Permissions::from_mode(model);
        fs::set_permissions(place.model(), mode).unwrap();
        let _ = place.start(Head::F16);
        let mode = fs::metadata(place.weights_pack()).unwrap().permissions();
        // The umask may take more.
        assert_eq!(mode.mode() & 0o777 & !(0o600 | others), 0, "{model:o}");
        assert_eq!(mode.mode() & 0o600, 0o600);
    }
}

#[test]
fn packs_are_found_without_loading() {
    let mut place = Place::new();
    let kernel = best_kernel();
    let source = ModelSource::File(place.model());
    let model = Arc::new(Model::open(&source).unwrap());
    let find = |cache: &PackCache| packs(&model, &*kernel, Head::Q6, cache, 1);
    assert!(find(&place.cache).is_empty());
    let _ = place.start(Head::Q6);
    let found = find(&place.cache);
    assert!(found.iter().all(|pack| pack.state == PackState::Valid));
    let what: Vec<_> = found.iter().map(|pack| pack.what.as_str()).collect();
    assert_eq!(what, ["weights in layout T2R32", "head in q6"]);
    rewrite(&place.weights_pack(), |b| *b.last_mut().unwrap() ^= 1);
    assert_eq!(
        find(&place.cache)[0].state,
        PackState::Valid,
        "by its header"
    );
    let mut verify = place.cache.clone();
    verify.verify = true;
    let PackState::Unusable(why) = &find(&verify)[0].state else {
        panic!("the data is damaged");
    };
    assert!(why.contains("checksum"), "{why}");
    place.cache = verify;
    let _ = place.start(Head::Q6);
    assert!(
        find(&place.cache)
            .iter()
            .all(|pack| pack.state == PackState::Valid)
    );
}
