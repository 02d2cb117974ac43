module gitopsd.test/benchmarks/native

go 1.26

require go.starlark.net v0.0.0-20230302034142-4b1e35fe2254

require golang.org/x/sys v0.42.0 // indirect
