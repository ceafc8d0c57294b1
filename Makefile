# One place for every check. CI runs `make check` after the tests.

.PHONY: check test dev-test format lint docs bench bench-all reference fuzz fuzz-ort conformance conformance-lists memcheck \
	accuracy accuracy-layers accuracy-curves denormals finetune

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
	$(PYTHON) reference/resize.py
	$(PYTHON) reference/schedules.py
	$(PYTHON) reference/initialise.py
	$(PYTHON) reference/idx_corpus.py
	$(PYTHON) reference/image_fixtures.py
	$(PYTHON) reference/torchvision_names.py
	$(PYTHON) reference/compare_fixtures.py crates/svertka/tests/fixtures/compare
	$(PYTHON) reference/foreign.py
	cargo run -p svertka-graph --example onnx_cases -- target/onnx/structure
	$(PYTHON) reference/onnx_check.py target/onnx/structure
	cargo run -p svertka-engine --example onnx_values -- target/onnx/values
	$(PYTHON) reference/onnx_check.py target/onnx/values

# Five minutes each; needs a nightly toolchain and cargo-fuzz.
fuzz:
	cargo +nightly fuzz run idx -- -max_total_time=300 -rss_limit_mb=2048
	cargo +nightly fuzz run onnx -- -max_total_time=300 -rss_limit_mb=2048

# Random graphs over the operators that are read, in ONNX Runtime and on both engines. A disagreement is shrunk, joins
# crates/engine/tests/regressions, and fails the target. The seed is printed; SEED=N repeats a run.
MINUTES ?= 60
SEED ?=
fuzz-ort:
	cargo build --release -p svertka-engine --example conformance
	PYTHONPATH=reference $(PYTHON) -m fuzz_ort --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) \
		--runner $${CARGO_TARGET_DIR:-target}/release/examples/conformance

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

# ONNX's own tests of operators (1.17, and 1.6 for older forms) and its light networks, on both engines, against the committed
# lists of what passes and what is skipped, and why. The first run fetches them with pip.
CONFORMANCE = cargo run --release -p svertka-engine --example conformance -- --list docs/conformance
target/onnx-tests:
	$(PYTHON) reference/onnx_tests.py target/onnx-tests

conformance: target/onnx-tests
	$(CONFORMANCE)/onnx-1.17.txt target/onnx-tests/1.17
	$(CONFORMANCE)/onnx-1.6.txt target/onnx-tests/1.6
	$(CONFORMANCE)/light.txt target/onnx-tests/light

conformance-lists: target/onnx-tests
	mkdir -p docs/conformance
	$(CONFORMANCE)/onnx-1.17.txt --write target/onnx-tests/1.17
	$(CONFORMANCE)/onnx-1.6.txt --write target/onnx-tests/1.6
	$(CONFORMANCE)/light.txt --write target/onnx-tests/light

# Networks made elsewhere, trained beside PyTorch: docs/foreign-networks.md says where the two files come from. Without them,
# their networks are left out. Takes ten minutes on a quiet machine.
finetune:
	cargo build --release -p svertka --example finetune
	$(PYTHON) reference/finetune.py target/finetune target/release/examples/finetune $(if $(KERAS_VGG16),--vgg16 $(KERAS_VGG16)) $(if $(MOBILENET_V2),--mobilenet_v2 $(MOBILENET_V2))
