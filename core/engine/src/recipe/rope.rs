//! How layers know positions: rotation, and windows.

use std::sync::Arc;

use tritone_abi::RopeStyle;
use tritone_formats::{GgufError, GgufFile};

/// Rotary position embedding (Su et al. 2021).
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    /// Base of the angles.
    pub theta: f32,
    /// Values of a head that are rotated; even, at most the head.
    pub dims: usize,
    /// Which values are paired.
    pub style: RopeStyle,
    /// How the angles were changed for longer contexts.
    pub scaling: RopeScaling,
}

impl Rope {
    /// The longest context with the angles of short ones, where longer ones have others.
    pub(crate) fn changes_beyond(&self) -> Option<usize> {
        match &self.scaling {
            RopeScaling::Factors {
                short,
                long,
                original,
                ..
            } if short != long => Some(*original),
            _ => None,
        }
    }
}

/// How rotary angles were changed to reach beyond the context a model was first trained for.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// All angles are divided by `factor` (Chen et al. 2023).
    Linear {
        /// How many times longer the context is.
        factor: f32,
    },
    /// Slow angles are divided by `factor`, fast ones kept, those in between mixed; cosines and
    /// sines are multiplied by `0.1 ln(factor) + 1` (YaRN, Peng et al. 2023). This holds at every
    /// position, also within the first context.
    Yarn {
        /// How many times longer the context is.
        factor: f32,
        /// Positions of the first context.
        original: usize,
    },
    /// Every pair's angle is divided by a number of its own, and cosines and sines are multiplied by
    /// `gain` (LongRoPE, Ding et al. 2024). The divisors depend on the context that is asked for.
    Factors {
        /// Divisors of contexts up to `original` positions, one a pair.
        short: Arc<[f32]>,
        /// Divisors of longer contexts.
        long: Arc<[f32]>,
        /// Positions of the first context.
        original: usize,
        /// What cosines and sines are multiplied by.
        gain: f32,
    },
}

/// Sliding windows of an architecture where the file does not say which layers have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Windows {
    /// There are none; a file that has one is refused.
    Never,
    /// Every layer but one of so many, which is the last of them.
    ButOneOf(usize),
    /// The file says it, layer by layer.
    Listed,
}

fn text(error: GgufError) -> String {
    error.to_string()
}

/// Reads the rotation of all layers, `ARCH.rope.*`.
pub(super) fn rope<B: AsRef<[u8]>>(
    file: &GgufFile<B>,
    architecture: &str,
    head_dim: usize,
    style: RopeStyle,
) -> Result<Rope, String> {
    let key = format!("{architecture}.rope.dimension_count");
    let dims: Option<usize> = file.value(&key).map_err(text)?;
    let dims = dims.unwrap_or(head_dim);
    if dims == 0 || dims > head_dim || !dims.is_multiple_of(2) {
        return Err(format!(
            "rotation over {dims} of {head_dim} values of a head"
        ));
    }
    let key = format!("{architecture}.rope.freq_base");
    Ok(Rope {
        theta: base(file, &key)?.unwrap_or(10_000.0),
        dims,
        style,
        scaling: scaling(file, architecture, dims)?,
    })
}

/// A base of angles.
fn base<B: AsRef<[u8]>>(file: &GgufFile<B>, key: &str) -> Result<Option<f32>, String> {
    let theta: Option<f32> = file.value(key).map_err(text)?;
    match theta {
        Some(theta) if !(theta.is_finite() && theta >= 1.0) => {
            Err(format!("{key} is {theta}, which makes no sense"))
        }
        theta => Ok(theta),
    }
}

/// `ARCH.rope.scaling.*`, and divisors that are tensors.
fn scaling<B: AsRef<[u8]>>(
    file: &GgufFile<B>,
    architecture: &str,
    dims: usize,
) -> Result<RopeScaling, String> {
    let key = |name: &str| format!("{architecture}.rope.scaling.{name}");
    let kind = file.value::<&str>(&key("type")).map_err(text)?;
    let own = factors(file, architecture, dims)?;
    let factor: Option<f32> = file.value(&key("factor")).map_err(text)?;
    let factor = factor.unwrap_or(1.0);
    let sound = factor.is_finite() && factor >= 1.0;
    match (kind, own) {
        (None | Some("none" | "longrope"), Some(own)) => Ok(own),
        (Some(other), Some(_)) => Err(format!(
            "divisors of angles in tensors, and RoPE scaling '{}' besides",
            other.escape_default()
        )),
        (None | Some("none"), None) => Ok(RopeScaling::None),
        (Some("longrope"), None) => Err(
            "RoPE scaling 'longrope' needs the tensors 'rope_factors_long.weight' and \
             'rope_factors_short.weight'"
                .to_owned(),
        ),
        (Some(_), None) if !sound => Err(format!("{} {factor} makes no sense", key("factor"))),
        (Some("linear"), None) => Ok(RopeScaling::Linear { factor }),
        (Some("yarn"), None) => {
            let key = key("original_context_length");
            let original: usize = file.require(&key).map_err(text)?;
            match original {
                1..=16_777_216 => Ok(RopeScaling::Yarn { factor, original }),
                _ => Err(format!("{key} is {original}; expected 1 to 16777216")),
            }
        }
        (Some(other), None) => Err(format!(
            "RoPE scaling '{}' is not supported; 'none', 'linear', 'yarn' and 'longrope' are",
            other.escape_default()
        )),
    }
}

/// Divisors that are tensors: of LongRoPE, or one set of them for all contexts.
fn factors<B: AsRef<[u8]>>(
    file: &GgufFile<B>,
    architecture: &str,
    dims: usize,
) -> Result<Option<RopeScaling>, String> {
    let read = |name: &str| -> Result<Option<Arc<[f32]>>, String> {
        let Some(view) = file.tensor(name) else {
            return Ok(None);
        };
        if view.rows() != 1 || view.columns() != dims / 2 {
            let (rows, columns) = (view.rows(), view.columns());
            return Err(format!(
                "tensor '{name}' is {rows} x {columns}; expected one number for each of {} pairs",
                dims / 2
            ));
        }
        let mut values = vec![0.0; dims / 2];
        view.decode_row(0, &mut values).map_err(text)?;
        match values.iter().position(|x| !(x.is_finite() && *x > 0.0)) {
            None => Ok(Some(values.into())),
            Some(i) => Err(format!("tensor '{name}' holds {} at {i}", values[i])),
        }
    };
    let short = read("rope_factors_short.weight")?;
    let long = read("rope_factors_long.weight")?;
    let (short, long) = match (short, long, read("rope_freqs.weight")?) {
        (None, None, None) => return Ok(None),
        (None, None, Some(all)) => (Arc::clone(&all), all),
        (Some(short), Some(long), None) => (short, long),
        _ => {
            return Err(
                "divisors of angles make no sense: expected 'rope_factors_short.weight' and \
                 'rope_factors_long.weight', or 'rope_freqs.weight' alone"
                    .to_owned(),
            );
        }
    };
    let key = format!("{architecture}.rope.scaling.original_context_length");
    let original: Option<usize> = file.value(&key).map_err(text)?;
    let trained = format!("{architecture}.context_length");
    let original = match original {
        Some(original) => original,
        None => file.require(&trained).map_err(text)?,
    };
    let key = format!("{architecture}.rope.scaling.attn_factor");
    let gain: f32 = file.value(&key).map_err(text)?.unwrap_or(1.0);
    if !(gain.is_finite() && gain > 0.0) {
        return Err(format!("{key} is {gain}, which makes no sense"));
    }
    Ok(Some(RopeScaling::Factors {
        short,
        long,
        original,
        gain,
    }))
}

/// Windows of all layers (0 for none), and the rotation in those that have one.
pub(super) type Local = (Vec<usize>, Option<Rope>);

/// Reads the windows of layers, `ARCH.attention.sliding_window*`; none when the file has none.
/// `global` is the rotation of layers without one.
pub(super) fn local<B: AsRef<[u8]>>(
    file: &GgufFile<B>,
    architecture: &str,
    windows: Windows,
    global: &Rope,
    layers: usize,
) -> Result<Local, String> {
    let key = format!("{architecture}.attention.sliding_window");
    let window: usize = file.value(&key).map_err(text)?.unwrap_or(0);
    if window == 0 {
        return match windows {
            Windows::Listed => Err(format!("{key} is missing")),
            Windows::Never | Windows::ButOneOf(_) => Ok((Vec::new(), None)),
        };
    }
    let pattern = format!("{key}_pattern");
    let but_one_of = |period: usize| match period {
        0 => Err(format!("{pattern} is 0; expected 1 or more")),
        _ => Ok((1..=layers).map(|i| !i.is_multiple_of(period)).collect()),
    };
    let listed: Option<Vec<bool>> = match file.value::<usize>(&pattern) {
        Ok(None) => None,
        Ok(Some(period)) => Some(but_one_of(period)?),
        Err(_) => Some(flags(file, &pattern)?),
    };
    let is_local: Vec<bool> = match (listed, windows) {
        (Some(listed), _) => listed,
        (None, Windows::ButOneOf(period)) => but_one_of(period)?,
        (None, Windows::Listed) => return Err(format!("{pattern} is missing")),
        (None, Windows::Never) => {
            return Err(format!(
                "a sliding window of {window} ({key}) is not supported for this architecture"
            ));
        }
    };
    if is_local.len() != layers {
        let count = is_local.len();
        return Err(format!("{pattern} is about {count} of {layers} layers"));
    }
    let theta = base(file, &format!("{architecture}.rope.freq_base_swa"))?;
    let rope = match windows {
        // Gemma 3: what was done for longer contexts was done to the other layers.
        Windows::ButOneOf(_) => Rope {
            theta: theta.unwrap_or(10_000.0),
            scaling: RopeScaling::None,
            ..global.clone()
        },
        Windows::Listed | Windows::Never => Rope {
            theta: theta.unwrap_or(global.theta),
            ..global.clone()
        },
    };
    let windows = is_local.iter().map(|local| match local {
        true => window,
        false => 0,
    });
    Ok((windows.collect(), Some(rope)))
}

/// An array of flags, which some programs write as numbers.
fn flags<B: AsRef<[u8]>>(file: &GgufFile<B>, key: &str) -> Result<Vec<bool>, String> {
    if let Ok(Some(flags)) = file.value::<Vec<bool>>(key) {
        return Ok(flags);
    }
    let numbers: Vec<u32> = file.require(key).map_err(text)?;
    Ok(numbers.into_iter().map(|n| n != 0).collect())
}
