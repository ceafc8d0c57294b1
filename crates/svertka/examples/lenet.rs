//! Builds the lecture's LeNet, trains it on the digits, saves it and reads it back.

#![allow(clippy::print_stdout, reason = "an example is a program")]

use std::error::Error;
use svertka::prelude::*;

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    // 6 convolutions 5×5, max-pooling 2×2, 16 convolutions 5×5, max-pooling 2×2, the 16 matrices of 5×5 as one
    // vector, fully connected layers of 120, 84 and 10 neurons, softmax.
    let network = Builder::new();
    let image = network.image(1, [28, 28]).normalise(&[0.1307], &[0.3081]);
    let maps = image.conv(6, kernel(5).padding(2)).relu().max_pool(2).conv(16, 5).relu().max_pool(2);
    maps.flatten().linear(120).relu().linear(84).relu().linear(10).classify();
    let lenet = network.finish()?;

    let mut digits = digits();
    digits.split_validation(0.1, 0);
    let task = Task::open(&digits, &TaskOptions::default())?;
    let mut recipe = Recipe::for_network("lenet5");
    recipe.settings.epochs = 3;

    let parameters = Parameters::initialise(&lenet, 0)?;
    let job = task.job(&lenet, parameters, &digits, &recipe)?;
    let mut trainer = Trainer::new(job, Machine::new(0))?;
    let Outcome::Finished(trained) = trainer.run(&mut |_: &_| Ok(()))? else { return Err("stopped".into()) };

    let file = std::env::temp_dir().join("lenet.onnx");
    let model = task.model(lenet, trained.parameters, Some(&recipe))?;
    model.save(&file)?;
    let model = Model::load(&file)?;

    let (_, test) = digits.evaluation();
    let found = evaluate(&model, &digits.classes, test, EvaluationOptions::default(), Machine::new(0))?;
    println!("{:.1} % of {} digits it has never seen", 100.0 * found.accuracy, found.samples);
    assert!(found.accuracy > 0.9);
    Ok(())
}
