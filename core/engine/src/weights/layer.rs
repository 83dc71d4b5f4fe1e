//! One decoder layer: its norms, and the matrices of the two things it does.

use super::packed::{Matrix, Packed};
use super::router::Router;
use super::scales::Groups;
use super::{norm, recipe_error};
use crate::error::LoadError;
use crate::model::Model;
use crate::recipe::{FeedForwardKind, INPUT_NORMS, MixerKind, POST_NORMS};

/// One decoder layer.
#[derive(Debug)]
pub(crate) struct Layer {
    /// In front of the mixer.
    pub(crate) mixer_norm: Vec<f32>,
    pub(crate) mixer: Mixer,
    /// Of the mixer's result.
    pub(crate) mixer_post_norm: Option<Vec<f32>>,
    /// In front of the feed-forward part.
    pub(crate) ffn_norm: Vec<f32>,
    pub(crate) feed_forward: FeedForward,
    /// Of its result.
    pub(crate) ffn_post_norm: Option<Vec<f32>>,
}

/// What mixes positions.
#[derive(Debug)]
pub(crate) enum Mixer {
    Attention(Attention),
}

/// Softmax attention.
#[derive(Debug)]
pub(crate) struct Attention {
    /// Its number among the layers of the KV cache.
    pub(crate) kv_layer: usize,
    /// Positions that a query sees, its own included; `None` for all.
    pub(crate) window: Option<usize>,
    /// Norms in front of `q`, `k` and `v`, where they have their own.
    pub(crate) inputs: Vec<Vec<f32>>,
    pub(crate) q: Matrix,
    pub(crate) k: Matrix,
    pub(crate) v: Matrix,
    pub(crate) q_norm: Option<Vec<f32>>,
    pub(crate) k_norm: Option<Vec<f32>>,
    /// In front of `o`.
    pub(crate) sub_norm: Option<Vec<f32>>,
    pub(crate) o: Matrix,
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
    /// Norms in front of `gate` and `up`, where they have their own.
    pub(crate) inputs: Vec<Vec<f32>>,
    pub(crate) gate: Matrix,
    pub(crate) up: Matrix,
    /// In front of `down`.
    pub(crate) sub_norm: Option<Vec<f32>>,
    pub(crate) down: Matrix,
}

/// Many gated products, of which every token uses some.
#[derive(Debug)]
pub(crate) struct Experts {
    pub(crate) router: Router,
    /// One matrix an expert.
    pub(crate) gate: Vec<Matrix>,
    pub(crate) up: Vec<Matrix>,
    pub(crate) down: Vec<Matrix>,
}

/// The layers with the matrices of `packed`, and the groups of their inputs.
pub(super) fn layers(model: &Model, packed: &Packed) -> Result<(Vec<Layer>, Groups), LoadError> {
    let recipe = &model.recipe;
    let (matrices, groups) = packed.matrices(model)?;
    let mut parts = Parts {
        model,
        number: 0,
        kv_layers: 0,
        matrices: matrices.into_iter(),
    };
    let mut layers = Vec::with_capacity(recipe.layers.len());
    for (number, kind) in recipe.layers.iter().enumerate() {
        parts.number = number;
        let [mixer_post, ffn_post] =
            POST_NORMS.map(|name| parts.some(recipe.post_norms, name, recipe.hidden));
        layers.push(Layer {
            mixer_norm: parts.norm("attn_norm", recipe.hidden)?,
            mixer: match kind.mixer {
                MixerKind::Attention => Mixer::Attention(parts.attention()?),
            },
            mixer_post_norm: mixer_post?,
            ffn_norm: parts.norm("ffn_norm", recipe.hidden)?,
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
    /// Those of this layer and the following, in the order of [`Recipe::matrices`].
    ///
    /// [`Recipe::matrices`]: crate::Recipe::matrices
    matrices: M,
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
            inputs: self.inputs(&INPUT_NORMS[..3])?,
            q,
            k,
            v,
            q_norm: self.some(recipe.head_norms, "attn_q_norm", recipe.head_dim)?,
            k_norm: self.some(recipe.head_norms, "attn_k_norm", recipe.head_dim)?,
            sub_norm: self.sub("attn_sub_norm", "attn_output_norm_in", recipe.q_dim())?,
            o,
        })
    }

    fn dense(&mut self) -> Result<Dense, LoadError> {
        let (gate, up, down) = (self.matrix()?, self.matrix()?, self.matrix()?);
        Ok(Dense {
            inputs: self.inputs(&INPUT_NORMS[3..])?,
            gate,
            up,
            sub_norm: self.sub("ffn_sub_norm", "ffn_down_norm_in", self.model.recipe.ffn)?,
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
        Ok(Experts {
            gate: matrices()?,
            up: matrices()?,
            down: matrices()?,
            router: Router::load(self.model, &name, count, recipe.hidden)?,
        })
    }

    fn matrix(&mut self) -> Result<Matrix, LoadError> {
        let missing = || recipe_error(self.model, "too few matrices".to_owned());
        self.matrices.next().ok_or_else(missing)
    }

    fn norm(&self, name: &str, width: usize) -> Result<Vec<f32>, LoadError> {
        let number = self.number;
        norm(self.model, &format!("blk.{number}.{name}.weight"), width)
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

    fn inputs(&self, names: &[&str]) -> Result<Vec<Vec<f32>>, LoadError> {
        let recipe = &self.model.recipe;
        let names = names.iter().filter(|_| recipe.input_norms);
        names.map(|name| self.norm(name, recipe.hidden)).collect()
    }
}
