package bot

// GateWith is [Gate] with another look at the directory.
var GateWith = gate

// LoadForGateWith is [LoadForGate] with another way to read the file.
var LoadForGateWith = loadForGate
