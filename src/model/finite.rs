//! A layer of weights in their file format, as models are run: what is not finite is found, and why.

use rayon::prelude::*;

use super::activations::Rounding;
use super::error::ModelError;
use super::layer_pass::{LayerPass, Workspace};
use super::linear::{Linear, apply_all};
use super::parts::Map;
use super::trace::Trace;

impl LayerPass<'_, Linear<'_>> {
    /// From `workspace.attended` back to the residual stream, and the feed-forward network.
    pub fn project_and_feed(
        &self,
        x: &mut [f32],
        workspace: &mut Workspace,
        trace: &mut dyn Trace,
    ) -> Result<(), ModelError> {
        self.finite_project(x, workspace, trace)?;
        self.widen(x, workspace, trace);
        self.finite_project_back(x, workspace, trace)
    }

    /// From `workspace.attended` back to the residual stream.
    pub fn finite_project(
        &self,
        x: &mut [f32],
        workspace: &mut Workspace,
        trace: &mut dyn Trace,
    ) -> Result<(), ModelError> {
        self.project(x, workspace, trace);
        is_finite(x).then_some(()).ok_or_else(|| self.why_not_attended(workspace))
    }

    /// From `workspace.gate` back to the residual stream.
    pub fn finite_project_back(
        &self,
        x: &mut [f32],
        workspace: &mut Workspace,
        trace: &mut dyn Trace,
    ) -> Result<(), ModelError> {
        self.project_back(x, workspace, trace);
        is_finite(x).then_some(()).ok_or_else(|| self.why_not_fed(workspace))
    }

    /// Why attention gave NaN or infinity.
    fn why_not_attended(&self, workspace: &Workspace) -> ModelError {
        let Workspace { normed, k: keys, v: values, attended, .. } = workspace;
        let layer = self.layer;
        let in_cache = || {
            let lost = self.cached != Rounding::None && !(is_finite(keys) && is_finite(values));
            // What was not finite before it was kept is no fault of the cache.
            let is_held = |map| is_finite(&applied(&self.weights[map], normed));
            (lost && [Map::K, Map::V].into_iter().all(is_held))
                .then_some(ModelError::CacheOverflow { layer })
        };
        self.overflow(&[(Map::Q, normed), (Map::K, normed), (Map::V, normed)])
            .or_else(in_cache)
            .or_else(|| self.overflow(&[(Map::Output, attended)]))
            .unwrap_or(ModelError::NotFinite { what: "attention", layer })
    }

    /// Why the feed-forward network gave NaN or infinity.
    fn why_not_fed(&self, workspace: &Workspace) -> ModelError {
        let Workspace { normed, gate: gated, .. } = workspace;
        let maps = [(Map::Gate, normed), (Map::Up, normed), (Map::Down, gated)];
        let (what, layer) = ("feed-forward network", self.layer);
        self.overflow(&maps).unwrap_or(ModelError::NotFinite { what, layer })
    }

    /// The first of these maps whose inputs are too large for what llama.cpp keeps of them.
    fn overflow(&self, maps: &[(Map, &Vec<f32>)]) -> Option<ModelError> {
        maps.iter().find_map(|&(map, inputs)| {
            let linear = &self.weights[map];
            let (format, overflow) = (linear.weight.format, linear.overflow(inputs)?);
            let tensor = format!("blk.{}.{}.weight", self.layer, linear.tensor);
            Some(ModelError::Overflow { tensor, format, overflow })
        })
    }
}

/// What a map makes of rows of inputs.
fn applied(map: &Linear, x: &[f32]) -> Vec<f32> {
    let mut y = vec![0.0; x.len() / map.weight.columns * map.weight.rows];
    apply_all(&mut [(map, &mut y)], x);
    y
}

fn is_finite(x: &[f32]) -> bool {
    x.par_chunks(1 << 14).all(|x| x.iter().all(|x| x.is_finite()))
}
