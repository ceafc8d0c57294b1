//! Seconds for a number of training steps, for `make bench`: reads a number of steps per line from standard input and
//! answers with the seconds they took.
//!
//! A step is forward, cross-entropy, backward and SGD with momentum 0.9 and weight decay 1e-4; the batch is in memory.
//! Usage: `training_speed NETWORK BATCH THREADS`.

#![expect(clippy::print_stdout, reason = "a program for a script")]

use std::{error::Error, io::BufRead, sync::Arc, time::Instant};
use svertka_engine::{
    Machine, Optimiser, RunKey, Sgd, State,
    cpu::{Input, Purpose, Workspace, lower},
};
use svertka_graph::{Parameters, Sizes, op::SoftmaxCrossEntropyLoss, with_loss};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, name, batch, threads] = &arguments[..] else {
        return Err("NETWORK BATCH THREADS are wanted".into());
    };
    let (batch, threads): (usize, usize) = (batch.parse()?, threads.parse()?);
    let card = svertka_zoo::find(name)?;
    let graph = with_loss(&card.build(&card.options())?, "logits", SoftmaxCrossEntropyLoss::default(), None)?;
    let plan = Arc::new(lower(&graph, &Purpose::training())?);
    let mut state = State::new(&graph, &Parameters::initialise(&graph, 1)?)?;
    let mut workspace = Workspace::new(Machine::new(threads));
    let program = plan.bind(&Sizes::batch(batch), &state, &mut workspace)?;
    let mut gradients = program.gradients();
    let pixels = card.channels * card.size[0] * card.size[1];
    let images: Vec<f32> = (0..batch * pixels).map(|i| (i * 7919 % 256) as f32).collect();
    let labels: Vec<i64> = (0..batch).map(|i| (i % card.classes) as i64).collect();
    let inputs = [Input::F32(&images), Input::I64(&labels)];
    let rule = Optimiser::Sgd(Sgd { momentum: 0.9, weight_decay: 1e-4, ..Sgd::new(0.001) });
    for line in std::io::stdin().lock().lines() {
        let steps: usize = line?.trim().parse()?;
        let start = Instant::now();
        for _ in 0..steps {
            let key = RunKey { seed: 1, step: state.step };
            program.forward(&mut workspace, &mut state, &inputs, key)?;
            program.backward(&mut workspace, &state, &inputs, &mut gradients)?;
            rule.update(workspace.machine(), &mut state, &mut gradients, 1.0);
        }
        println!("{}", start.elapsed().as_secs_f64());
    }
    Ok(())
}
