"""One thin module a pipeline step: files in, files out, no maths. `avatarpipe STEP --help` describes each."""
