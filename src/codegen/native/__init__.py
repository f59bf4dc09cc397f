"""The native target: programs as LLVM IR and machine code, through llvmlite."""
