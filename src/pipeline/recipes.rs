//! What the recipes that people use elsewhere would give: each encoded here, and measured on the
//! text that the model of this run is measured on.

use std::collections::BTreeMap;
use std::path::Path;

use crate::Error;
use crate::calibrate::Importance;
use crate::gguf::{Format, Gguf, Metadata, TensorSpec, encoded_size};
use crate::model::Role;
use crate::progress::Progress;
use crate::quantize::{
    Candidate, Choice, PassContext, PeerRecipe, Plan, Planned, SearchError, encode_plainly,
    forget_pass, with_encodings,
};
use crate::report::{RecipeLosses, RecipeReport};
use crate::validate::CompareError;
use crate::work::Work;

use super::outputs::Outputs;

/// A model whose recipes are compared.
pub struct Compared<'c, 'a> {
    /// Its file, and where that is.
    pub gguf: &'a Gguf,
    /// Where the file is.
    pub input: &'c Path,
    /// What it says of texts.
    pub outputs: &'c Outputs<'a>,
    /// Where the state of the run is kept.
    pub work: &'c Work,
    /// Hears how far it is.
    pub progress: &'c dyn Progress,
}

/// What a recipe came to.
type Judged = Result<RecipeLosses, String>;

impl Compared<'_, '_> {
    /// All recipes, the smallest first. `metadata` gives what a file with a plan says of itself.
    pub fn recipes(
        &self,
        metadata: impl Fn(&Plan) -> Metadata,
    ) -> Result<Vec<RecipeReport>, Error> {
        let importance = self.outputs.importance(self.progress);
        let importance = importance.map_err(|e| Error::model(self.input, e))?;
        let recipe = |recipe: PeerRecipe| {
            let formats = recipe.formats(self.gguf, &self.outputs.model().shape);
            let plan = self.plan(&formats);
            let judged: Judged = self.work.remember(&format!("compared-{recipe}"), || {
                self.judge(recipe, &formats, &importance)
            })?;
            let specs = plan.specs();
            let bytes = specs.iter().filter_map(|it| it.format.bytes_of(it.shape.elements()));
            let weights: u64 = specs.iter().map(|spec| spec.shape.elements()).sum();
            let tensor_bytes: u64 = bytes.sum();
            Ok(RecipeReport {
                name: recipe.name(),
                bytes: encoded_size(&metadata(&plan), &specs).unwrap_or(tensor_bytes),
                bpw: tensor_bytes as f64 * 8.0 / weights as f64,
                measured: judged.as_ref().ok().copied(),
                unmeasured: judged.err(),
            })
        };
        let recipes: Result<Vec<RecipeReport>, SearchError> =
            PeerRecipe::ALL.into_iter().map(recipe).collect();
        recipes.map_err(|e| Error::search(self.input, e))
    }

    fn plan(&self, formats: &BTreeMap<String, Format>) -> Plan {
        let planned = self.gguf.tensors().iter().map(|tensor| {
            let (format, choice) = match formats.get(&tensor.name) {
                Some(&format) => (format, Choice::Encoded),
                None => (tensor.format, Choice::Copied),
            };
            let spec = TensorSpec { format, ..tensor.spec() };
            let role = Role::of(&tensor.name);
            Planned { spec, role, from: tensor.format, choice, shared: None }
        });
        Plan { tensors: planned.collect(), warnings: Vec::new() }
    }

    /// Encodes a recipe and measures it; if a format cannot hold a weight, or llama.cpp what it
    /// keeps of inputs, the reason.
    fn judge(
        &self,
        recipe: PeerRecipe,
        formats: &BTreeMap<String, Format>,
        importance: &Importance,
    ) -> Result<Judged, SearchError> {
        let &Compared { gguf, outputs, work, progress, .. } = self;
        let todo = formats.iter().map(|(name, &to)| (name.clone(), Candidate::encoded(to)));
        let todo: BTreeMap<String, Candidate> = todo.collect();
        let model = outputs.model();
        let context = PassContext { gguf, model, sequences: &[], importance, work, progress };
        let pass = format!("compared-{recipe}");
        let encodings = match encode_plainly(context, &pass, &todo) {
            Err(SearchError::Encode(reason)) => return Ok(Err(reason.to_string())),
            encodings => encodings?,
        };
        let losses = outputs.losses_of(&with_encodings(model, &encodings), progress);
        drop(encodings);
        forget_pass(context, &pass, &todo)?;
        match losses {
            Ok(Some(losses)) => Ok(Ok(RecipeLosses {
                mean_kld: losses.kld.value,
                mean_kld_error: losses.kld.error,
                same_top: losses.same_top.value,
            })),
            Ok(None) => Ok(Err("there is too little text of the model's own".into())),
            Err(CompareError::Model(reason)) if reason.is_overflow() => Ok(Err(reason.to_string())),
            Err(CompareError::Model(reason)) => Err(reason.into()),
            Err(reason) => Err(SearchError::Measure(Box::new(reason))),
        }
    }
}
