//! `Einsum` where it is one matrix product, a product of elements, a transposition or a sum.

use super::{Source, Spelling};
use crate::{
    Op, ValueId,
    onnx::error::{Refusal, invalid, unsupported},
    op::{Binary, Reduce, ReduceKind, Squeeze, Transpose, Unsqueeze},
};

/// One letter per axis.
struct Equation {
    operands: Vec<Vec<char>>,
    output: Vec<char>,
}

/// More letters than tensors of so many axes as are handled need.
const LONGEST: usize = 256;

fn parse(text: &str) -> Result<Equation, Refusal> {
    let text: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
    if text.len() > LONGEST {
        return unsupported(format!("an equation of more than {LONGEST} letters"));
    }
    if text.contains('.') {
        return unsupported(format!("equation `{text}` has an ellipsis"));
    }
    let (left, output) =
        text.split_once("->").map_or((text.as_str(), None), |(left, right)| (left, Some(right)));
    let operands: Vec<Vec<char>> = left.split(',').map(|operand| operand.chars().collect()).collect();
    let once = |letter: &char| operands.iter().flatten().filter(|other| *other == letter).count() == 1;
    let implicit = || {
        let mut letters: Vec<char> =
            operands.iter().flatten().copied().filter(|letter| once(letter)).collect();
        letters.sort_unstable();
        letters
    };
    let output = output.map_or_else(implicit, |text| text.chars().collect());
    let repeats = |letters: &Vec<char>| (1..letters.len()).any(|at| letters[..at].contains(&letters[at]));
    if operands.iter().chain([&output]).any(repeats) {
        return unsupported(format!("equation `{text}` has a letter twice in one operand: a diagonal"));
    }
    if output.iter().any(|letter| !operands.iter().flatten().any(|other| other == letter)) {
        return invalid(format!("equation `{text}` puts out a letter that no operand has"));
    }
    Ok(Equation { operands, output })
}

pub(super) fn matrix_product(spelling: &mut Spelling, source: &mut Source) -> Result<(), Refusal> {
    let Some(text) = source.string("equation")? else { return invalid("attribute `equation` is missing") };
    let equation = parse(&text)?;
    if equation.operands.len() != spelling.inputs.len() {
        return invalid(format!("equation `{text}` does not fit {} inputs", spelling.inputs.len()));
    }
    for (letters, &id) in equation.operands.iter().zip(spelling.inputs) {
        if letters.len() != spelling.rank(id) {
            return invalid(format!("equation `{text}` does not fit an input of {}", spelling.shape(id)));
        }
    }
    match &equation.operands[..] {
        [letters] => {
            let x = spelling.input(0)?;
            let (letters, x) = sum_out(spelling, letters, &equation.output, "sum", x)?;
            finish(spelling, &letters, &equation.output, x)
        }
        [a, b] => product(spelling, a, b, &equation.output),
        _ => unsupported(format!("equation `{text}` multiplies more than two tensors")),
    }
}

/// Sums over the axes whose letters are not `kept`.
fn sum_out(
    spelling: &mut Spelling,
    letters: &[char],
    kept: &[char],
    part: &str,
    x: ValueId,
) -> Result<(Vec<char>, ValueId), Refusal> {
    let axes: Vec<i64> =
        (0..letters.len()).filter(|&at| !kept.contains(&letters[at])).map(|at| at as i64).collect();
    if axes.is_empty() {
        return Ok((letters.to_vec(), x));
    }
    let left = letters.iter().copied().filter(|letter| kept.contains(letter)).collect();
    let sum = Op::Reduce(Reduce { kind: ReduceKind::Sum, axes, keepdims: false });
    Ok((left, spelling.part(part, sum, &[x])?))
}

/// The axes in the output's order, as the node's output.
fn finish(spelling: &mut Spelling, letters: &[char], output: &[char], x: ValueId) -> Result<(), Refusal> {
    let op = permutation(letters, output).map_or(Op::Identity, |perm| Op::Transpose(Transpose { perm }));
    spelling.output(0, op, &[x]).map(drop)
}

/// Where every letter of `to` stands in `from`; `None` where nothing moves.
fn permutation(from: &[char], to: &[char]) -> Option<Vec<usize>> {
    let perm: Vec<usize> =
        to.iter().filter_map(|letter| from.iter().position(|other| other == letter)).collect();
    let moves = perm.iter().enumerate().any(|(at, &place)| at != place);
    moves.then_some(perm)
}

/// `[batch…, left, summed] × [batch…, summed, right]`; an axis that an operand lacks has extent 1 there.
fn product(spelling: &mut Spelling, a: &[char], b: &[char], output: &[char]) -> Result<(), Refusal> {
    let (x, y) = (spelling.input(0)?, spelling.input(1)?);
    let kept = |other: &[char]| [other, output].concat();
    let (a, x) = sum_out(spelling, a, &kept(b), "left sum", x)?;
    let (b, y) = sum_out(spelling, b, &kept(&a), "right sum", y)?;
    let choose = |letters: &[char], wanted: &dyn Fn(&char) -> bool| -> Vec<char> {
        letters.iter().copied().filter(|letter| wanted(letter)).collect()
    };
    let batch = choose(output, &|letter| a.contains(letter) && b.contains(letter));
    let left = choose(&a, &|letter| !b.contains(letter));
    let right = choose(&b, &|letter| !a.contains(letter));
    let summed = choose(&a, &|letter| b.contains(letter) && !output.contains(letter));
    if left.is_empty() && right.is_empty() {
        let letters = [&batch[..], &summed].concat();
        let operands = [(x, &a, "left turned"), (y, &b, "right turned")].map(|(id, from, part)| {
            match permutation(from, &letters) {
                Some(perm) => spelling.part(part, Op::Transpose(Transpose { perm }), &[id]),
                None => Ok(id),
            }
        });
        let [x, y] = operands;
        let product = spelling.part("product", Op::Binary(Binary::Mul), &[x?, y?])?;
        let (letters, sum) = sum_out(spelling, &letters, &batch, "sum", product)?;
        return finish(spelling, &letters, output, sum);
    }
    // Several axes of the left operand may lead the product, as they do in `MatMul`.
    if right.len() > 1 || summed.len() > 1 || left.len() > 1 && !batch.is_empty() {
        return unsupported("an equation that is no matrix product: more than one axis on a side");
    }
    let x = arrange(spelling, "left", x, &a, [&batch, &left, &summed])?;
    let y = arrange(spelling, "right", y, &b, [&batch, &summed, &right])?;
    let op = if summed.is_empty() { Op::Binary(Binary::Mul) } else { Op::MatMul };
    let whole = spelling.part("product", op, &[x, y])?;
    let unused: Vec<i64> = [&left, &right]
        .iter()
        .enumerate()
        .filter(|(_, letters)| letters.is_empty())
        .map(|(place, _)| (batch.len() + if place == 0 { 0 } else { left.len().max(1) }) as i64)
        .collect();
    let whole = match unused.is_empty() {
        true => whole,
        false => spelling.part("squeezed", Op::Squeeze(Squeeze { axes: unused }), &[whole])?,
    };
    finish(spelling, &[batch, left, right].concat(), output, whole)
}

/// An operand with its axes in the order of the groups; an empty group but the first is an axis of extent 1.
fn arrange(
    spelling: &mut Spelling,
    part: &str,
    x: ValueId,
    letters: &[char],
    groups: [&[char]; 3],
) -> Result<ValueId, Refusal> {
    let mut x = x;
    if let Some(perm) = permutation(letters, &groups.concat()) {
        x = spelling.part(&format!("{part} turned"), Op::Transpose(Transpose { perm }), &[x])?;
    }
    let batch = groups[0].len();
    let first = |group: usize| batch + if group == 1 { 0 } else { groups[1].len().max(1) };
    let axes: Vec<i64> =
        (1..3).filter(|&group| groups[group].is_empty()).map(|group| first(group) as i64).collect();
    match axes.is_empty() {
        true => Ok(x),
        false => spelling.part(&format!("{part} widened"), Op::Unsqueeze(Unsqueeze { axes }), &[x]),
    }
}
