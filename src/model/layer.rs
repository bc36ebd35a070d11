//! What there is for each part of a layer: weights where they lie, weights widened, gradients.

use std::ops::{Index, IndexMut};

use super::architecture::Architecture;
use super::parts::{Gain, Map, Part};

/// Something for each linear map of a layer, and numbers for the gain of each norm.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer<M> {
    /// Which names its tensors.
    architecture: &'static Architecture,
    /// In the order of [`Map::ALL`].
    maps: [M; Map::ALL.len()],
    /// In the order of [`Gain::ALL`]; empty if the layer has no such norm.
    gains: [Vec<f32>; Gain::ALL.len()],
}

impl<M> Layer<M> {
    /// Of what is given for each map and each gain; the first error, if one of them fails.
    pub fn new<E>(
        architecture: &'static Architecture,
        mut map: impl FnMut(Map) -> Result<M, E>,
        mut gain: impl FnMut(Gain) -> Result<Vec<f32>, E>,
    ) -> Result<Layer<M>, E> {
        let (maps, gains) = (all(Map::ALL.map(&mut map))?, all(Gain::ALL.map(&mut gain))?);
        Ok(Layer { architecture, maps, gains })
    }

    /// What another one has for each part.
    pub fn each<N>(&self, map: impl Fn(&M) -> N, gain: impl Fn(&Vec<f32>) -> Vec<f32>) -> Layer<N> {
        let (maps, gains) = (self.maps.each_ref().map(map), self.gains.each_ref().map(gain));
        Layer { architecture: self.architecture, maps, gains }
    }

    /// All maps.
    pub fn maps(&self) -> impl Iterator<Item = (Map, &M)> {
        Map::ALL.into_iter().zip(&self.maps)
    }

    /// All maps, to change them.
    pub fn maps_mut(&mut self) -> impl Iterator<Item = (Map, &mut M)> {
        Map::ALL.into_iter().zip(&mut self.maps)
    }

    /// The gains of the norms that the layer has.
    pub fn gains(&self) -> impl Iterator<Item = (Gain, &Vec<f32>)> {
        Gain::ALL.into_iter().zip(&self.gains).filter(|(_, gains)| !gains.is_empty())
    }

    /// What the file calls the gain of a norm, between `blk.N.` and `.weight`.
    pub fn gain_name(&self, gain: Gain) -> Option<&'static str> {
        gain.name(self.architecture)
    }

    /// The norm whose gain the file calls so.
    pub fn gain_named(&self, name: &str) -> Option<Gain> {
        match Part::of(name, self.architecture)? {
            Part::Gain(gain) => Some(gain),
            _ => None,
        }
    }

    /// The gain of a norm, if the layer has it.
    pub fn gain(&self, gain: Gain) -> Option<&[f32]> {
        Some(&self[gain][..]).filter(|gain| !gain.is_empty())
    }
}

/// All values, or the first error.
fn all<T, E, const N: usize>(results: [Result<T, E>; N]) -> Result<[T; N], E> {
    let mut first = None;
    let values = results.map(|result| result.map_err(|error| first.get_or_insert(error)).ok());
    match first {
        Some(error) => Err(error),
        None => Ok(values.map(|value| value.expect("there was no error"))),
    }
}

impl<M> Index<Map> for Layer<M> {
    type Output = M;

    fn index(&self, map: Map) -> &M {
        &self.maps[map as usize]
    }
}

impl<M> IndexMut<Map> for Layer<M> {
    fn index_mut(&mut self, map: Map) -> &mut M {
        &mut self.maps[map as usize]
    }
}

impl<M> Index<Gain> for Layer<M> {
    type Output = Vec<f32>;

    fn index(&self, gain: Gain) -> &Vec<f32> {
        &self.gains[gain as usize]
    }
}

impl<M> IndexMut<Gain> for Layer<M> {
    fn index_mut(&mut self, gain: Gain) -> &mut Vec<f32> {
        &mut self.gains[gain as usize]
    }
}
