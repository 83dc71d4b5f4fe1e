//! One decoder layer: its norms, and the matrices of the two things it does.

use std::sync::Arc;

use super::packed::{Matrix, Packed};
use super::router::Router;
use super::scales::Groups;
use super::{floats, recipe_error};
use crate::error::LoadError;
use crate::exec::Transform;
use crate::model::Model;
use crate::recipe::{FeedForwardKind, INPUT_NORMS, MixerKind, POST_NORMS, Recipe};

/// One decoder layer.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) mixer: Mixer,
    /// Of the mixer's result.
    pub(crate) mixer_post_norm: Option<Vec<f32>>,
    pub(crate) feed_forward: FeedForward,
    /// Of its result.
    pub(crate) ffn_post_norm: Option<Vec<f32>>,
}

/// How the input of products is made of the residual stream.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) norm: Vec<f32>,
    /// Norms after it, one for every product, where they have their own.
    pub(crate) own: Vec<Vec<f32>>,
    /// Of folded weights.
    pub(crate) transform: Option<Arc<Transform>>,
}

/// What mixes positions.
#[derive(Debug)]
pub(crate) enum Mixer {
    Attention(Attention),
    Recurrent(Recurrent),
}

/// Softmax attention.
#[derive(Debug)]
pub(crate) struct Attention {
    /// Its number among the layers of the KV cache.
    pub(crate) kv_layer: usize,
    /// Positions that a query sees, its own included; `None` for all.
    pub(crate) window: Option<usize>,
    pub(crate) input: Input,
    pub(crate) q: Matrix,
    pub(crate) k: Matrix,
    pub(crate) v: Matrix,
    pub(crate) q_norm: Option<Vec<f32>>,
    pub(crate) k_norm: Option<Vec<f32>>,
    /// In front of `o`.
    pub(crate) sub_norm: Option<Vec<f32>>,
    pub(crate) transform: Option<Arc<Transform>>,
    pub(crate) o: Matrix,
}

/// Gated DeltaNet.
#[derive(Debug)]
pub(crate) struct Recurrent {
    /// Its number among the recurrent layers.
    pub(crate) number: usize,
    pub(crate) input: Input,
    /// Queries, keys and values, one after another.
    pub(crate) qkv: Matrix,
    /// Gate of the result.
    pub(crate) gate: Matrix,
    /// What decides decay, and then write strength, of every value head: `[2][head][hidden]`.
    pub(crate) rates: Vec<f32>,
    /// Added to the former.
    pub(crate) bias: Vec<f32>,
    /// Logarithm of the least decay.
    pub(crate) decay: Vec<f32>,
    /// Taps of the convolution, `[tap][channel]`.
    pub(crate) taps: Vec<f32>,
    /// Of every value head of the result.
    pub(crate) norm: Vec<f32>,
    /// In front of `out`.
    pub(crate) transform: Option<Arc<Transform>>,
    pub(crate) out: Matrix,
}

/// What a layer does to every position on its own.
#[derive(Debug)]
pub(crate) enum FeedForward {
    Dense(Dense),
    Experts(Experts),
}

/// One gated product.
#[derive(Debug)]
pub(crate) struct Dense {
    pub(crate) input: Input,
    pub(crate) gate: Matrix,
    pub(crate) up: Matrix,
    /// In front of `down`.
    pub(crate) sub_norm: Option<Vec<f32>>,
    pub(crate) transform: Option<Arc<Transform>>,
    pub(crate) down: Matrix,
}

/// Many gated products, of which every token uses some.
#[derive(Debug)]
pub(crate) struct Experts {
    pub(crate) input: Input,
    pub(crate) router: Router,
    /// One matrix an expert.
    pub(crate) gate: Vec<Matrix>,
    pub(crate) up: Vec<Matrix>,
    pub(crate) down: Vec<Matrix>,
}

/// The transform of `width` values for the folded weights of `recipe`; `grouped` where they are the
/// value heads of a recurrent layer.
pub(super) fn transform(recipe: &Recipe, width: usize, grouped: bool) -> Option<Arc<Transform>> {
    let hadamard = recipe.hadamard.as_ref()?;
    let heads = recipe.recurrent.filter(|_| grouped && hadamard.grouped);
    let heads = heads.map(|recurrent| (recurrent.key_heads, recurrent.head_dim));
    let transform = Transform::new(hadamard.block, hadamard.signs(width), heads);
    Some(Arc::new(transform))
}

/// The layers with the matrices of `packed`, and the groups of their inputs.
pub(super) fn layers(model: &Model, packed: &Packed) -> Result<(Vec<Layer>, Groups), LoadError> {
    let recipe = &model.recipe;
    let (matrices, groups) = packed.matrices(model)?;
    let mut parts = Parts {
        model,
        number: 0,
        kv_layers: 0,
        states: 0,
        matrices: matrices.into_iter(),
        residual: transform(recipe, recipe.hidden, false),
        attended: transform(recipe, recipe.q_dim(), false),
        mixed: (recipe.recurrent).and_then(|mixer| transform(recipe, mixer.inner(), true)),
        ffn: transform(recipe, recipe.ffn, false),
    };
    let mut layers = Vec::with_capacity(recipe.layers.len());
    for (number, kind) in recipe.layers.iter().enumerate() {
        parts.number = number;
        let [mixer_post, ffn_post] =
            POST_NORMS.map(|name| parts.some(recipe.post_norms, name, recipe.hidden));
        layers.push(Layer {
            mixer: match kind.mixer {
                MixerKind::Attention => Mixer::Attention(parts.attention()?),
                MixerKind::Recurrent => Mixer::Recurrent(parts.recurrent()?),
            },
            mixer_post_norm: mixer_post?,
            feed_forward: match kind.feed_forward {
                FeedForwardKind::Dense => FeedForward::Dense(parts.dense()?),
                FeedForwardKind::Experts => FeedForward::Experts(parts.experts()?),
            },
            ffn_post_norm: ffn_post?,
        });
    }
    Ok((layers, groups))
}

/// Where the parts of layers come from.
struct Parts<'a, M> {
    model: &'a Model,
    /// The layer.
    number: usize,
    /// Layers of the KV cache so far.
    kv_layers: usize,
    /// Recurrent layers so far.
    states: usize,
    /// Those of this layer and the following, in the order of [`Recipe::matrices`].
    matrices: M,
    /// Transforms of the inputs of folded weights, by kind of input.
    residual: Option<Arc<Transform>>,
    attended: Option<Arc<Transform>>,
    mixed: Option<Arc<Transform>>,
    ffn: Option<Arc<Transform>>,
}

impl<M: Iterator<Item = Matrix>> Parts<'_, M> {
    fn attention(&mut self) -> Result<Attention, LoadError> {
        let recipe = &self.model.recipe;
        let (q, k, v, o) = (
            self.matrix()?,
            self.matrix()?,
            self.matrix()?,
            self.matrix()?,
        );
        self.kv_layers += 1;
        Ok(Attention {
            kv_layer: self.kv_layers - 1,
            window: recipe.window(self.number),
            input: self.input("attn_norm", &INPUT_NORMS[..3], "attn_q")?,
            q,
            k,
            v,
            q_norm: self.some(recipe.head_norms, "attn_q_norm", recipe.head_dim)?,
            k_norm: self.some(recipe.head_norms, "attn_k_norm", recipe.head_dim)?,
            sub_norm: self.sub("attn_sub_norm", "attn_output_norm_in", recipe.q_dim())?,
            transform: self.folded("attn_output", &self.attended),
            o,
        })
    }

    fn recurrent(&mut self) -> Result<Recurrent, LoadError> {
        let recipe = &self.model.recipe;
        let shape = recipe.recurrent.ok_or_else(|| {
            recipe_error(self.model, "a recurrent layer without sizes".to_owned())
        })?;
        let (qkv, gate, out) = (self.matrix()?, self.matrix()?, self.matrix()?);
        let (heads, channels, taps) = (shape.value_heads, shape.channels(), shape.taps);
        let mut rates = self.table("ssm_alpha.weight", heads, recipe.hidden)?;
        rates.extend(self.table("ssm_beta.weight", heads, recipe.hidden)?);
        let stored = self.table("ssm_conv1d.weight", channels, taps)?;
        let tap = |tap: usize| stored.iter().skip(tap).step_by(taps);
        self.states += 1;
        Ok(Recurrent {
            number: self.states - 1,
            input: self.input("attn_norm", &[], "attn_qkv")?,
            qkv,
            gate,
            rates,
            bias: self.table("ssm_dt.bias", 1, heads)?,
            decay: self.table("ssm_a", 1, heads)?,
            taps: (0..taps).flat_map(tap).copied().collect(),
            norm: self.norm("ssm_norm", shape.head_dim)?,
            transform: self.folded("ssm_out", &self.mixed),
            out,
        })
    }

    fn dense(&mut self) -> Result<Dense, LoadError> {
        let recipe = &self.model.recipe;
        let (gate, up, down) = (self.matrix()?, self.matrix()?, self.matrix()?);
        Ok(Dense {
            input: self.input(recipe.ffn_norm, &INPUT_NORMS[3..], "ffn_gate")?,
            gate,
            up,
            sub_norm: self.sub("ffn_sub_norm", "ffn_down_norm_in", recipe.ffn)?,
            transform: self.folded("ffn_down", &self.ffn),
            down,
        })
    }

    fn experts(&mut self) -> Result<Experts, LoadError> {
        let recipe = &self.model.recipe;
        let count = recipe.experts.map_or(0, |experts| experts.count);
        let name = format!("blk.{}.ffn_gate_inp.weight", self.number);
        let mut matrices = || {
            (0..count)
                .map(|_| self.matrix())
                .collect::<Result<Vec<_>, _>>()
        };
        let (gate, up, down) = (matrices()?, matrices()?, matrices()?);
        Ok(Experts {
            input: self.input(recipe.ffn_norm, &[], "ffn_gate_exps")?,
            gate,
            up,
            down,
            router: Router::load(self.model, &name, count, recipe.hidden)?,
        })
    }

    fn matrix(&mut self) -> Result<Matrix, LoadError> {
        let missing = || recipe_error(self.model, "too few matrices".to_owned());
        self.matrices.next().ok_or_else(missing)
    }

    /// A tensor of this layer as floats.
    fn table(&self, name: &str, rows: usize, columns: usize) -> Result<Vec<f32>, LoadError> {
        let name = format!("blk.{}.{name}", self.number);
        floats(self.model, &name, rows, columns)
    }

    fn norm(&self, name: &str, width: usize) -> Result<Vec<f32>, LoadError> {
        self.table(&format!("{name}.weight"), 1, width)
    }

    fn some(&self, is: bool, name: &str, width: usize) -> Result<Option<Vec<f32>>, LoadError> {
        is.then(|| self.norm(name, width)).transpose()
    }

    /// The norm `name` in front of the last product of a part. Where every product has a norm of
    /// its own, it is a sub-norm by another name, `own`.
    fn sub(&self, name: &str, own: &str, width: usize) -> Result<Option<Vec<f32>>, LoadError> {
        match self.model.recipe.input_norms {
            true => self.norm(own, width).map(Some),
            false => self.some(self.model.recipe.sub_norms, name, width),
        }
    }

    /// The input of the products of the residual stream of which `first` is the first.
    fn input(&self, norm: &str, own: &[&str], first: &str) -> Result<Input, LoadError> {
        let recipe = &self.model.recipe;
        let own = own.iter().filter(|_| recipe.input_norms);
        Ok(Input {
            norm: self.norm(norm, recipe.hidden)?,
            own: own
                .map(|name| self.norm(name, recipe.hidden))
                .collect::<Result<_, _>>()?,
            transform: self.folded(first, &self.residual),
        })
    }

    /// `transform`, if the matrix `name` of this layer was folded.
    fn folded(&self, name: &str, transform: &Option<Arc<Transform>>) -> Option<Arc<Transform>> {
        let hadamard = self.model.recipe.hadamard.as_ref()?;
        let name = format!("blk.{}.{name}.weight", self.number);
        transform
            .clone()
            .filter(|_| hadamard.folded.contains(&name))
    }
}
