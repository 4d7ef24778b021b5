module example.com/tasks

go 1.24

require github.com/evoke-run/evoke/sdk/go v0.0.0

// fnctl brings the SDK itself; this line is for editors and for go test.
replace github.com/evoke-run/evoke/sdk/go => ../../../sdk/go
