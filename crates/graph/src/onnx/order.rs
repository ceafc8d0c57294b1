//! In which order inputs, parameters and nodes enter a graph.

use std::collections::{HashMap, HashSet};

/// One thing that enters a graph, by its place among its like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Input(usize),
    Parameter(usize),
    Node(usize),
}

/// What has to be put in order.
pub(super) struct Parts<'a> {
    pub(super) inputs: Vec<&'a str>,
    pub(super) parameters: Vec<&'a str>,
    /// For each node the values it reads.
    pub(super) operands: Vec<Vec<&'a str>>,
}

impl Parts<'_> {
    /// Inputs first, then every node after those of its parameters that no earlier one uses; unused parameters last.
    pub(super) fn natural(&self) -> Vec<Step> {
        let place = |(index, &name)| (name, index);
        let mut waiting: HashMap<&str, usize> = self.parameters.iter().enumerate().map(place).collect();
        let mut steps: Vec<Step> = (0..self.inputs.len()).map(Step::Input).collect();
        for (index, operands) in self.operands.iter().enumerate() {
            steps.extend(operands.iter().filter_map(|&name| waiting.remove(name)).map(Step::Parameter));
            steps.push(Step::Node(index));
        }
        let unused = (0..self.parameters.len()).filter(|&index| waiting.contains_key(self.parameters[index]));
        steps.extend(unused.map(Step::Parameter));
        steps
    }

    /// The order that `places` notes: for inputs and parameters, how many nodes stand before. `None` unless it names each
    /// of them once, inputs in their order, and none is used before it enters.
    pub(super) fn noted(&self, places: &[(String, usize)]) -> Option<Vec<Step>> {
        let inputs = self.inputs.iter().enumerate().map(|(index, &name)| (name, Step::Input(index)));
        let parameters =
            self.parameters.iter().enumerate().map(|(index, &name)| (name, Step::Parameter(index)));
        let known: HashMap<&str, Step> = inputs.chain(parameters).collect();
        let mut steps = Vec::with_capacity(known.len() + self.operands.len());
        let mut nodes = 0..self.operands.len();
        for (name, before) in places {
            let between = before.checked_sub(nodes.start)?;
            steps.extend(nodes.by_ref().take(between).map(Step::Node));
            steps.push(*known.get(name.as_str())?);
        }
        steps.extend(nodes.map(Step::Node));
        self.is_complete(&steps).then_some(steps)
    }

    fn is_complete(&self, steps: &[Step]) -> bool {
        let mut waiting: HashSet<&str> = self.inputs.iter().chain(&self.parameters).copied().collect();
        let mut inputs = 0..self.inputs.len();
        let sound = steps.iter().all(|step| match *step {
            Step::Input(index) => inputs.next() == Some(index) && waiting.remove(self.inputs[index]),
            Step::Parameter(index) => waiting.remove(self.parameters[index]),
            Step::Node(index) => self.operands[index].iter().all(|name| !waiting.contains(name)),
        });
        sound && waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{Step::*, *};

    fn parts() -> Parts<'static> {
        let operands = vec![vec!["x", "w"], vec!["a", "w", "b"]];
        Parts { inputs: vec!["x", "y"], parameters: vec!["unused", "b", "w"], operands }
    }

    fn noted(places: &[(usize, &str)]) -> Option<Vec<Step>> {
        let places: Vec<_> = places.iter().map(|&(before, name)| (name.to_owned(), before)).collect();
        parts().noted(&places)
    }

    #[test]
    fn a_parameter_stands_before_its_first_use() {
        let expected = [Input(0), Input(1), Parameter(2), Node(0), Parameter(1), Node(1), Parameter(0)];
        assert_eq!(parts().natural(), expected);
    }

    #[test]
    fn a_noted_order_is_kept_if_it_can_be_run() {
        let expected = vec![Parameter(2), Input(0), Node(0), Parameter(1), Input(1), Parameter(0), Node(1)];
        assert_eq!(noted(&[(0, "w"), (0, "x"), (1, "b"), (1, "y"), (1, "unused")]), Some(expected));
        assert_eq!(noted(&[(0, "w"), (0, "x"), (1, "b"), (1, "y")]), None, "one is missing");
        assert_eq!(noted(&[(0, "w"), (0, "x"), (2, "b"), (2, "y"), (2, "unused")]), None, "b comes too late");
        assert_eq!(
            noted(&[(0, "w"), (0, "y"), (0, "x"), (1, "b"), (1, "unused")]),
            None,
            "inputs are swapped"
        );
        assert_eq!(noted(&[(0, "w"), (0, "x"), (1, "b"), (0, "y"), (1, "unused")]), None, "the count falls");
        assert_eq!(
            noted(&[(0, "w"), (0, "x"), (0, "x"), (1, "b"), (1, "y"), (1, "unused")]),
            None,
            "x twice"
        );
    }
}
