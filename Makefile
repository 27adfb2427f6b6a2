UV_ENV := .tools/uv

.PHONY: requirements
requirements: ## pin requirements/*.txt again from the .in files
	test -x $(UV_ENV)/bin/uv || { python3 -m venv $(UV_ENV) && $(UV_ENV)/bin/python -m pip install -q uv; }
	cd requirements && for name in runtime dev; do \
	    ../$(UV_ENV)/bin/uv pip compile -q --no-config --universal --python-version 3.11 \
	        --generate-hashes --no-header --no-emit-index-url --no-emit-find-links \
	        --upgrade -o $$name.txt $$name.in $$(test $$name = runtime || echo -c runtime.txt) || exit 1; \
	done
