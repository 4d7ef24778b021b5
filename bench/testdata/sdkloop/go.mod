module example.com/sdkloop

go 1.24

require github.com/evoke-run/evoke/sdk/go v0.0.0

replace github.com/evoke-run/evoke/sdk/go => ../../../sdk/go
