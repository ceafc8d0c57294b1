# One place for every check. CI runs `make check` after the tests.

.PHONY: check test dev-test format lint docs bench bench-all reference fuzz memcheck accuracy accuracy-layers accuracy-curves denormals

# What has to hold before a commit lands, the same as CI.
check: format lint docs dev-test

# The README's test command.
test:
	cargo test --release --workspace

format:
	cargo fmt --all --check

lint:
	cargo clippy --workspace --all-targets -- -D warnings

docs:
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# The dev profile checks overflows; the arithmetic is compiled optimised, so this takes seconds once built.
dev-test:
	cargo test --workspace

# Speed beside PyTorch, alternating in one run; needs python with torch (see reference/requirements.txt). A whole run takes
# a quarter of an hour and writes benchmarks/record. CASES=train-unet-b2,... and ROUNDS=9 restrict or lengthen it.
PYTHON ?= python3
ROUNDS ?= 5
bench:
	cargo build --release -p svertka
	$(PYTHON) reference/bench_training.py --cases "$(CASES)" --rounds $(ROUNDS)

# The same with Burn's Flex back end on two of the cases; its own cargo project, which takes minutes to build.
bench-all:
	cargo build --release -p svertka
	cargo build --release --manifest-path benchmarks/burn/Cargo.toml --target-dir benchmarks/burn/target
	$(PYTHON) reference/bench_training.py --cases "$(CASES)" --rounds $(ROUNDS) --burn

# Fixtures and checks against PyTorch, ONNX, ONNX Runtime and Pillow; needs reference/requirements.txt.
reference:
	$(PYTHON) reference/training.py > crates/engine/tests/fixtures/training.json
	$(PYTHON) reference/optimisers.py
	$(PYTHON) reference/schedules.py
	$(PYTHON) reference/initialise.py
	$(PYTHON) reference/idx_corpus.py
	$(PYTHON) reference/image_fixtures.py
	$(PYTHON) reference/torchvision_names.py
	$(PYTHON) reference/compare_fixtures.py crates/svertka/tests/fixtures/compare
	cargo run -p svertka-graph --example onnx_cases -- target/onnx/structure
	$(PYTHON) reference/onnx_check.py target/onnx/structure
	cargo run -p svertka-engine --example onnx_values -- target/onnx/values
	$(PYTHON) reference/onnx_check.py target/onnx/values

# Five minutes each; needs a nightly toolchain and cargo-fuzz.
fuzz:
	cargo +nightly fuzz run idx -- -max_total_time=300 -rss_limit_mb=2048
	cargo +nightly fuzz run onnx -- -max_total_time=300 -rss_limit_mb=2048

# The kernels' tests under the address sanitizer, every instruction set included; takes ten minutes. It cannot see the stores
# past the caches, which are assembly. Leaks count too.
HOST ?= x86_64-unknown-linux-gnu
memcheck:
	RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address CARGO_INCREMENTAL=0 \
		cargo test -p svertka-kernels --lib --target $(HOST) --target-dir target/asan

# What fast convolutions cost in accuracy, on data that no test may download: docs/accuracy.md says which, and what was found.
# The curves take a quarter of an hour on a quiet machine.
SEEDS ?= 1 2 3 4 5
accuracy: accuracy-layers accuracy-curves denormals

accuracy-layers:
	$(PYTHON) reference/vgg16.py $(VGG16) target/vgg16.onnx
	cargo run --release -p svertka --example accuracy -- layers target/vgg16.onnx $(PHOTOS)

accuracy-curves:
	cargo run --release -p svertka --example accuracy -- curves $(CIFAR10) $(SEEDS)

denormals:
	cargo run --release -p svertka --example accuracy -- denormals
