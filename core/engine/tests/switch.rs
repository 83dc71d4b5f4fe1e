//! Switching to a kernel whose weights are packed in another way, while an answer is written.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use common::{TINY, best_kernel};
use tritone_abi::{
    Activations, AttendArgs, Facts, GateKind, HeadInput, HeadMatrix, Kernel, KernelError, LayoutId,
    MatOut, Norm, PackArgs, QuantizedRow, RopeArgs, Score, ScratchNeed, TernaryMatrix,
};
use tritone_engine::sample::Sampling;
use tritone_engine::text::{Message, Role};
use tritone_engine::{
    Engine, EngineOptions, Event, Generation, Input, LoadError, ModelSource, PackCache, Request,
};

/// A kernel whose packed bytes are those of another one with every bit turned.
struct Turned {
    inner: Arc<dyn Kernel>,
    facts: Facts,
    door: Arc<Door>,
}

/// Holds packing up, counts it, and lets it fail.
#[derive(Default)]
struct Door {
    closed: Mutex<bool>,
    moved: Condvar,
    packed: AtomicUsize,
    broken: bool,
}

impl Door {
    fn open(&self) {
        *self.closed.lock().unwrap() = false;
        self.moved.notify_all();
    }

    fn pass(&self) {
        self.packed.fetch_add(1, Ordering::SeqCst);
        let closed = self.closed.lock().unwrap();
        drop(self.moved.wait_while(closed, |closed| *closed).unwrap());
    }

    fn packed(&self) -> usize {
        self.packed.load(Ordering::SeqCst)
    }
}

fn turned(door: Door) -> (Arc<dyn Kernel>, Arc<Door>) {
    let (inner, door) = (best_kernel(), Arc::new(door));
    let facts = Facts {
        name: "turned".to_owned(),
        layout: LayoutId(0x7e57),
        ..inner.facts().clone()
    };
    let kernel = Turned {
        inner,
        facts,
        door: Arc::clone(&door),
    };
    (Arc::new(kernel), door)
}

impl Kernel for Turned {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn score(&self) -> Score {
        self.inner.score()
    }

    fn scratch_bytes(&self, need: &ScratchNeed) -> usize {
        self.inner.scratch_bytes(need)
    }

    fn packed_bytes(&self, rows: usize, cols: usize) -> Option<usize> {
        self.inner.packed_bytes(rows, cols)
    }

    fn pack(&self, args: &PackArgs<'_>, out: &mut [u8]) -> Result<(), KernelError> {
        self.door.pass();
        if self.door.broken {
            return Err(KernelError::Unsupported("this model"));
        }
        self.inner.pack(args, out)?;
        out.iter_mut().for_each(|byte| *byte = !*byte);
        Ok(())
    }

    fn matmul(
        &self,
        w: &TernaryMatrix<'_>,
        x: &Activations<'_>,
        out: &mut MatOut<'_>,
        scratch: &mut [u8],
    ) -> Result<(), KernelError> {
        assert_eq!(w.layout, self.facts.layout);
        let data: Vec<u8> = w.data.iter().map(|byte| !byte).collect();
        let w = TernaryMatrix {
            layout: self.inner.facts().layout,
            data: &data,
            ..*w
        };
        self.inner.matmul(&w, x, out, scratch)
    }

    fn head(
        &self,
        w: &HeadMatrix<'_>,
        x: &HeadInput<'_>,
        out: &mut MatOut<'_>,
        scratch: &mut [u8],
    ) -> Result<(), KernelError> {
        self.inner.head(w, x, out, scratch)
    }

    fn quantize(
        &self,
        x: &[f32],
        group: usize,
        out: &mut QuantizedRow<'_>,
    ) -> Result<(), KernelError> {
        self.inner.quantize(x, group, out)
    }

    fn rms_norm(
        &self,
        x: &[f32],
        weight: &[f32],
        eps: f32,
        out: &mut [f32],
    ) -> Result<(), KernelError> {
        self.inner.rms_norm(x, weight, eps, out)
    }

    fn rope(&self, x: &mut [f32], args: &RopeArgs<'_>) -> Result<(), KernelError> {
        self.inner.rope(x, args)
    }

    fn gate(
        &self,
        kind: GateKind,
        gate: &[f32],
        up: &[f32],
        out: &mut [f32],
    ) -> Result<(), KernelError> {
        self.inner.gate(kind, gate, up, out)
    }

    fn attend(
        &self,
        args: &AttendArgs<'_>,
        out: &mut MatOut<'_>,
        scratch: &mut [u8],
    ) -> Result<(), KernelError> {
        self.inner.attend(args, out, scratch)
    }

    fn attend_merge(
        &self,
        heads: usize,
        head_dim: usize,
        acc: &mut [f32],
        next: &[f32],
    ) -> Result<(), KernelError> {
        self.inner.attend_merge(heads, head_dim, acc, next)
    }

    fn norm_quantize(
        &self,
        x: &[f32],
        norm: Norm<'_>,
        work: &mut [f32],
        group: usize,
        out: &mut QuantizedRow<'_>,
    ) -> Result<(), KernelError> {
        self.inner.norm_quantize(x, norm, work, group, out)
    }

    fn gate_quantize(
        &self,
        gate: (GateKind, &mut [f32], &[f32]),
        norm: Option<Norm<'_>>,
        work: &mut [f32],
        group: usize,
        out: &mut QuantizedRow<'_>,
    ) -> Result<(), KernelError> {
        self.inner.gate_quantize(gate, norm, work, group, out)
    }
}

fn options() -> EngineOptions {
    EngineOptions {
        threads: 2,
        ..EngineOptions::new(best_kernel())
    }
}

fn load(options: &EngineOptions) -> Engine {
    Engine::load(&ModelSource::File(TINY.into()), options, &mut |_| true).unwrap()
}

fn story() -> Request {
    let chat = vec![Message::new(Role::User, "Tell me a story about a fox.")];
    Request {
        sampling: Sampling::greedy(),
        max_tokens: Some(64),
        ..Request::new(Input::Chat(chat))
    }
}

/// The next piece of an answer; `None` after the last.
fn piece(generation: &Generation) -> Option<String> {
    loop {
        match generation.next_event()? {
            Event::Text { text, .. } => return Some(text),
            Event::Failed(error) => panic!("{error}"),
            Event::Prefill { .. } | Event::Finished(_) => {}
        }
    }
}

#[test]
fn the_text_stays_the_same_with_a_switch_at_every_token() {
    let engine = load(&options());
    let whole = engine.generate(story()).unwrap().wait().unwrap().0;
    let (other, door) = turned(Door::default());
    let kernels = [other, best_kernel()];
    let generation = engine.generate(story()).unwrap();
    let (mut text, mut switches) = (String::new(), 0);
    while let Some(piece) = piece(&generation) {
        text.push_str(&piece);
        let kernel = Arc::clone(&kernels[switches % 2]);
        let name = kernel.facts().name.clone();
        engine.set_kernel(kernel).unwrap();
        assert_eq!(engine.kernel_name(), name);
        switches += 1;
    }
    assert_eq!(text, whole);
    assert!(switches > 20 && door.packed() >= switches / 2);
}

#[test]
fn answers_go_on_while_weights_are_packed() {
    let engine = load(&options());
    let whole = engine.generate(story()).unwrap().wait().unwrap().0;
    let (other, door) = turned(Door {
        closed: Mutex::new(true),
        ..Door::default()
    });
    let generation = engine.generate(story()).unwrap();
    let mut text = piece(&generation).unwrap();
    let mut stages = Vec::new();
    std::thread::scope(|scope| {
        let switch = scope.spawn(|| {
            engine.switch_kernel(other, &mut |p| {
                stages.push(p);
                true
            })
        });
        while door.packed() == 0 {
            std::thread::yield_now();
        }
        for _ in 0..12 {
            text.push_str(&piece(&generation).unwrap());
        }
        assert_eq!(engine.kernel_name(), best_kernel().facts().name);
        door.open();
        assert!(switch.join().unwrap().unwrap().is_empty());
    });
    assert_eq!(engine.kernel_name(), "turned");
    while let Some(piece) = piece(&generation) {
        text.push_str(&piece);
    }
    assert_eq!(text, whole);
    let last = stages.last().unwrap();
    assert_eq!((last.stage, last.done), ("packing weights", last.total));
    assert!(stages.iter().any(|stage| stage.done < last.total));
    assert_eq!(engine.generate(story()).unwrap().wait().unwrap().0, whole);
}

#[test]
fn a_switch_can_be_given_up() {
    let engine = load(&options());
    let whole = engine.generate(story()).unwrap().wait().unwrap().0;
    let (other, _) = turned(Door::default());
    let stopped = engine.switch_kernel(Arc::clone(&other), &mut |_| false);
    assert!(matches!(stopped, Err(LoadError::Cancelled)));
    assert_eq!(engine.kernel_name(), best_kernel().facts().name);
    assert_eq!(engine.generate(story()).unwrap().wait().unwrap().0, whole);
    engine.set_kernel(other).unwrap();
    assert_eq!(engine.generate(story()).unwrap().wait().unwrap().0, whole);
}

#[test]
fn a_kernel_that_fails_to_pack_leaves_the_old_one() {
    let engine = load(&options());
    let whole = engine.generate(story()).unwrap().wait().unwrap().0;
    let (other, _) = turned(Door {
        broken: true,
        ..Door::default()
    });
    let error = engine.set_kernel(other).unwrap_err().to_string();
    assert!(
        error.contains("turned") && error.contains("this model"),
        "{error}"
    );
    assert_eq!(engine.kernel_name(), best_kernel().facts().name);
    assert_eq!(engine.generate(story()).unwrap().wait().unwrap().0, whole);
}

#[test]
fn both_ways_of_packing_have_to_fit_the_limit() {
    let plan = load(&options()).info().plan.clone();
    let limited = |limit| EngineOptions {
        memory_limit: Some(limit),
        ..options()
    };
    let (other, door) = turned(Door::default());
    let engine = load(&limited(plan.total() + plan.weights - 1));
    let error = engine.set_kernel(Arc::clone(&other)).unwrap_err();
    let LoadError::Switch { needed, limit, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!((*needed, limit + 1), (plan.total() + plan.weights, *needed));
    assert!(error.to_string().contains("--kernel turned"), "{error}");
    assert_eq!(
        (door.packed(), engine.kernel_name()),
        (0, best_kernel().facts().name.clone())
    );
    // One that shares the weights needs no room for others.
    engine.set_kernel(best_kernel()).unwrap();
    load(&limited(plan.total() + plan.weights))
        .set_kernel(other)
        .unwrap();
}

#[test]
fn a_switch_takes_the_weights_from_a_pack() {
    let home = tempfile::TempDir::new().unwrap();
    let cache = PackCache {
        dir: Some(home.path().to_owned()),
        ..PackCache::default()
    };
    let (other, door) = turned(Door::default());
    let keeping = |kernel| EngineOptions {
        kernel,
        pack_cache: cache.clone(),
        ..options()
    };
    let first = load(&keeping(Arc::clone(&other)));
    let said = first.wait_for_packs(&mut |_| true);
    assert!(said[0].contains("layout"), "{said:?}");
    let packed = door.packed();
    assert!(packed > 0);
    let engine = load(&keeping(best_kernel()));
    let whole = engine.generate(story()).unwrap().wait().unwrap().0;
    engine.set_kernel(other).unwrap();
    assert_eq!(door.packed(), packed);
    assert_eq!(engine.generate(story()).unwrap().wait().unwrap().0, whole);
}
