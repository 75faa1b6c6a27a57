// `bindings/bench.sh` says where zap is: the proxy for modules, or Debian's package.
module bench

go 1.25
