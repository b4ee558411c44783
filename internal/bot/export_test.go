package bot

// GateWith is [Gate] with another look at the directory.
var GateWith = gate
