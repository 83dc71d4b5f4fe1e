//! A look at every ternary weight.

use serde_json::{Value, json};
use tritone_formats::codec::Scales;
use tritone_formats::{GgufFile, TensorView};

use super::metadata::escaped;
use super::quality::Finding;
use crate::cli::console::Console;
use crate::cli::interrupt::Interrupt;

/// What the weights are like.
#[derive(Debug, Default)]
pub(super) struct Deep {
    weights: u64,
    zeros: u64,
    /// The tensors with the smallest and the largest share of zeros.
    least: Option<(f64, String)>,
    most: Option<(f64, String)>,
    scales: u64,
    /// Scales that are zero, and those that are no numbers.
    zero_scales: u64,
    bad_scales: u64,
    /// Tensors that could not be read, and why.
    unreadable: Vec<String>,
}

/// Zeros in a byte of four codes.
const ZEROS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut field = 0;
        while field < 4 {
            if byte >> (2 * field) & 3 == 1 {
                table[byte] += 1;
            }
            field += 1;
        }
        byte += 1;
    }
    table
};

impl Deep {
    /// Reads all ternary tensors; `None` when somebody wants to stop.
    pub(super) fn read<B: AsRef<[u8]>>(
        file: &GgufFile<B>,
        console: &Console,
        interrupt: &Interrupt,
    ) -> Option<Self> {
        let total: usize = file.tensors().filter(|t| t.ty().is_ternary()).count();
        let mut line = console.progress();
        let mut deep = Self::default();
        let ternary = file.tensors().filter(|tensor| tensor.ty().is_ternary());
        for (number, tensor) in ternary.enumerate() {
            if interrupt.is_pressed() {
                return None;
            }
            line.show(|| format!("reading weights: tensor {} of {total}", number + 1));
            if let Err(why) = deep.add(&tensor) {
                let name = escaped(tensor.name(), 96);
                deep.unreadable.push(format!("'{name}': {why}"));
            }
        }
        Some(deep)
    }

    fn add(&mut self, tensor: &TensorView<'_>) -> Result<(), String> {
        let ternary = tensor.ternary().map_err(|error| error.to_string())?;
        let mut codes = vec![0; ternary.columns().div_ceil(4)];
        let mut zeros = 0_u64;
        for row in 0..ternary.rows() {
            let read = ternary.canonical_row(row, &mut codes);
            read.map_err(|error| error.to_string())?;
            let counts = codes
                .iter()
                .map(|byte| u64::from(ZEROS[usize::from(*byte)]));
            zeros += counts.sum::<u64>();
        }
        let weights = tensor.elements() as u64;
        self.weights += weights;
        self.zeros += zeros;
        let share = zeros as f64 / weights.max(1) as f64;
        let name = || escaped(tensor.name(), 96);
        if self.least.as_ref().is_none_or(|(least, _)| share < *least) {
            self.least = Some((share, name()));
        }
        if self.most.as_ref().is_none_or(|(most, _)| share > *most) {
            self.most = Some((share, name()));
        }
        let mut look = |scale: &f32| {
            self.scales += 1;
            self.zero_scales += u64::from(*scale == 0.0);
            self.bad_scales += u64::from(!scale.is_finite());
        };
        match ternary.scales().map_err(|error| error.to_string())? {
            Scales::Tensor(scale) => look(&scale),
            Scales::Row(scales) => scales.iter().for_each(look),
            Scales::Group { values, .. } => values.iter().for_each(look),
        }
        Ok(())
    }

    fn share(&self) -> f64 {
        self.zeros as f64 / self.weights.max(1) as f64
    }

    /// What deserves a second look. Trained models have a third to a half of zeros.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for why in &self.unreadable {
            findings.push(Finding::new("unreadable", why.clone()));
        }
        if self.bad_scales > 0 {
            let text = format!(
                "{} of {} scales are no numbers",
                self.bad_scales, self.scales
            );
            findings.push(Finding::new("bad-scale", text));
        }
        // A group of weights that are all zero has a scale of zero in some types; many have not.
        if self.zero_scales * 100 > self.scales {
            let text = format!("{} of {} scales are zero", self.zero_scales, self.scales);
            findings.push(Finding::new("zero-scales", text));
        }
        if self.weights > 0 && !(0.05..=0.8).contains(&self.share()) {
            let text = format!(
                "{:.1} % of the weights are zero; trained models have 30 to 50 %: the weights were \
                 probably quantised without the rounding of their training",
                100.0 * self.share()
            );
            findings.push(Finding::new("odd-zeros", text));
        }
        findings
    }

    /// For people, without a label.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{:.1} % of {:.2} million ternary weights are zero",
            100.0 * self.share(),
            self.weights as f64 / 1e6
        )];
        if let (Some((least, a)), Some((most, b))) = (&self.least, &self.most) {
            lines.push(format!(
                "from {:.1} % ({a}) to {:.1} % ({b})",
                100.0 * least,
                100.0 * most
            ));
        }
        lines
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let extreme = |extreme: &Option<(f64, String)>| {
            let pair = extreme.as_ref();
            pair.map(|(share, name)| json!({ "share": share, "tensor": name }))
        };
        json!({
            "ternary_weights": self.weights,
            "zeros": self.zeros,
            "zero_share": self.share(),
            "least": extreme(&self.least),
            "most": extreme(&self.most),
            "scales": self.scales,
            "zero_scales": self.zero_scales,
            "bad_scales": self.bad_scales,
            "unreadable": self.unreadable,
        })
    }
}
