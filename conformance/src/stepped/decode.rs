//! What one instruction is going to do to memory, told before it is executed.

use std::collections::HashMap;

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, InstructionInfoFactory, InstructionInfoOptions, Mnemonic,
    OpAccess, Register, UsedMemory,
};
use libc::user_regs_struct as Registers;

/// What matters of an instruction, whatever the registers hold.
#[derive(Clone, Debug)]
pub(super) struct Decoded {
    /// What it is besides its memory accesses.
    pub(super) kind: Kind,
    /// Where it may go on.
    pub(super) flow: Flow,
    memory: Vec<UsedMemory>,
}

/// The instructions that the stepper treats in a way of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Any other.
    Plain,
    /// Enters the kernel.
    SystemCall,
    /// Says that it waits by spinning.
    Pause,
    /// One step is one iteration; the next step stands at the same address.
    Repeated,
    /// `int3`: a meeting, if it is ours.
    Trap,
}

/// Where the next instruction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// In one place, whatever the registers hold; or where a call came from.
    One,
    /// At either of these.
    Two([u64; 2]),
    /// Anywhere.
    Any,
}

/// One access to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reach {
    /// The first byte.
    pub(super) address: u64,
    /// How many bytes.
    pub(super) length: u64,
    /// Whether it is written, perhaps read too.
    pub(super) writes: bool,
}

/// Instructions that have been decoded, by address: the text is the same in every world.
pub(super) struct Decoding {
    known: HashMap<u64, Decoded>,
    factory: InstructionInfoFactory,
}

impl Default for Decoding {
    fn default() -> Self {
        Self { known: HashMap::new(), factory: InstructionInfoFactory::new() }
    }
}

impl Decoding {
    /// The longest instruction there is.
    pub(super) const LONGEST: usize = 15;

    /// The instruction at this address, whose bytes `fetch` reads if they are not known yet.
    pub(super) fn at(
        &mut self,
        address: u64,
        fetch: impl FnOnce() -> Result<[u8; 16], String>,
    ) -> Result<&Decoded, String> {
        if !self.known.contains_key(&address) {
            let bytes = fetch()?;
            let decoded = decode(&mut self.factory, &bytes[..Self::LONGEST], address);
            self.known.insert(address, decoded);
        }
        Ok(&self.known[&address])
    }
}

fn decode(factory: &mut InstructionInfoFactory, bytes: &[u8], address: u64) -> Decoded {
    let instruction = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE).decode();
    let kind = match instruction.mnemonic() {
        Mnemonic::Syscall => Kind::SystemCall,
        Mnemonic::Pause => Kind::Pause,
        Mnemonic::Int3 => Kind::Trap,
        _ if instruction.has_rep_prefix() || instruction.has_repne_prefix() => {
            if instruction.is_string_instruction() { Kind::Repeated } else { Kind::Plain }
        }
        _ => Kind::Plain,
    };
    let info = factory.info_options(&instruction, InstructionInfoOptions::NONE);
    let flow = match instruction.flow_control() {
        FlowControl::ConditionalBranch => {
            Flow::Two([instruction.next_ip(), instruction.near_branch_target()])
        }
        FlowControl::Next | FlowControl::UnconditionalBranch => Flow::One,
        FlowControl::Call | FlowControl::Return => Flow::One,
        // Through the table of functions in libraries, which is filled in before the first.
        FlowControl::IndirectCall | FlowControl::IndirectBranch
            if instruction.is_ip_rel_memory_operand() =>
        {
            Flow::One
        }
        _ => Flow::Any,
    };
    let touches = |m: &&UsedMemory| m.access() != OpAccess::NoMemAccess;
    Decoded { kind, flow, memory: info.used_memory().iter().filter(touches).copied().collect() }
}

impl Decoded {
    /// Where it reaches with these registers. A vector of addresses (gather, scatter) is not
    /// followed: no compiler emits one for memory that is shared.
    pub(super) fn reaches<'a>(
        &'a self,
        registers: &'a Registers,
    ) -> impl Iterator<Item = Reach> + 'a {
        self.memory.iter().filter_map(move |memory| {
            let address = memory.virtual_address(0, |r, _, _| register(r, registers))?;
            let writes = matches!(
                memory.access(),
                OpAccess::Write
                    | OpAccess::CondWrite
                    | OpAccess::ReadWrite
                    | OpAccess::ReadCondWrite
            );
            let length = memory.memory_size().size().max(1) as u64;
            Some(Reach { address, length, writes })
        })
    }
}

fn register(register: Register, from: &Registers) -> Option<u64> {
    let full = match register.full_register() {
        Register::RAX => from.rax,
        Register::RBX => from.rbx,
        Register::RCX => from.rcx,
        Register::RDX => from.rdx,
        Register::RSI => from.rsi,
        Register::RDI => from.rdi,
        Register::RBP => from.rbp,
        Register::RSP => from.rsp,
        Register::R8 => from.r8,
        Register::R9 => from.r9,
        Register::R10 => from.r10,
        Register::R11 => from.r11,
        Register::R12 => from.r12,
        Register::R13 => from.r13,
        Register::R14 => from.r14,
        Register::R15 => from.r15,
        Register::RIP => from.rip,
        Register::FS => from.fs_base,
        Register::GS => from.gs_base,
        Register::CS | Register::DS | Register::ES | Register::SS => 0,
        _ => return None,
    };
    match register.size() {
        8 => Some(full),
        4 => Some(full & 0xffff_ffff),
        2 if register.is_gpr() => Some(full & 0xffff),
        // The base of a segment, which is what the name of its register stands for here.
        _ => Some(full),
    }
}
