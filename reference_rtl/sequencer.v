// SPDX-License-Identifier: MIT
// Reads the program: executes register instructions and jumps, and assembles the description of the next run while the
// loop nest still works on the one before.
//
// With SHORT a run whose first word has its highest bit set has 13 words; the missing ones are 0.
// The program memory answers two clocks after its address, so a word is decoded three clocks after a start or a
// taken jump, and then every clock, unless it has to wait: `Run` while the last description is not taken, `Halt`,
// `Load` and `Store` until the loop nest is idle, anything after a `Load` until its register is written.
// Python twin: `Emulator.run` in fixedpoint_nn/hardware/emulator/emulator.py,
// `Timing` in fixedpoint_nn/hardware/isa/timing.py.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`include "fields.vh"
`default_nettype none
module sequencer #(
    // Bits of an address and of a register.
    parameter ADDRESS_WIDTH = 16,
    // Bits of an activation word.
    parameter WIDTH = 16,
    // Short descriptions are supported (1), or every run has all words (0).
    parameter SHORT = 0
) (
    input  wire                     clock,
    input  wire                     reset,
    input  wire                     start,
    output reg                      busy,
    output reg                      done,

    // Program memory.
    output reg  [ADDRESS_WIDTH-1:0] program_address,
    output wire                     program_enable,
    input  wire [31:0]              word,

    // To the loop nest.
    output reg                      offered,
    output reg  [`RUN_BITS-1:0]     description,
    input  wire                     take,
    input  wire                     idle,

    // Load and Store: the activation memory, and the result of the last search.
    output reg  [ADDRESS_WIDTH-1:0] access_address,
    output reg                      loading,
    output reg                      access_write,
    output reg                      access_best,
    input  wire signed [WIDTH-1:0]  loaded
);
    localparam [2:0] LOAD_WAIT = 3'd3;
    localparam [4:0] LAST_WORD = `RUN_WORDS - 1;
    localparam [ADDRESS_WIDTH-1:0] ZERO = 0, ONE = 1;

    initial begin
        if (`RUN_WORDS != 20) $fatal(1, "%m: a run has %0d words, and the addresses are told by 20", `RUN_WORDS);
    end

    // Fetches in flight: one bit per stage of the memory.
    reg fetched, valid;
    // Remaining words of the instruction that is being decoded, and its opcode.
    reg [4:0] left;
    reg [2:0] operation;
    reg       short;
    reg [2:0] target_register;
    // Of a Load: how far its word is shifted; of a Store: whether it stores the largest word.
    reg [4:0] shift;
    // Clocks until the word of a Load arrives; then one doubling per bit of shift.
    reg [2:0] wait_load;
    reg [4:0] doublings;
    reg [ADDRESS_WIDTH-1:0] registers [0:7];

    wire [2:0] opcode = word[30:28];
    wire first = left == 5'd0;
    wire wait_idle = opcode == `OP_HALT || opcode == `OP_LOAD || opcode == `OP_STORE;
    wire stall = loading || first && (wait_idle ? !idle || offered : opcode == `OP_RUN && offered);
    wire execute = busy && valid && !stall;
    assign program_enable = busy && (!valid || !stall);

    // The words of a description from 13 on, for which 7 or fewer are left, are a separate part, which a short run
    // clears.
    localparam LATER_BITS = 7 * 32, FIRST_BITS = `RUN_BITS - LATER_BITS;
    wire later = SHORT != 0 && !first && left[4:3] == 2'd0;
    wire run_ends = left == 5'd1 || SHORT != 0 && short && left == 5'd8;

    // The only adder: register + value; -1 for Loop, register - value (by complement and carry) for JumpEqual. If
    // only the word counts (Set, most of a description), the register is taken as 0.
    wire [2:0] selected = word[26:24];
    // Words 1 to 4 of a run are addresses: 19 to 16 are left.
    wire is_address = operation != `OP_RUN || left[4];
    wire is_sum = selected != 3'd0 && (first ? opcode != `OP_SET && opcode != `OP_RUN : is_address);
    wire minus_one = first && opcode == `OP_LOOP;
    wire subtract = first && opcode == `OP_JUMP_EQUAL;
    wire [ADDRESS_WIDTH-1:0] value = minus_one ? ~ZERO : subtract ? ~word[ADDRESS_WIDTH-1:0] : word[ADDRESS_WIDTH-1:0];
    wire [ADDRESS_WIDTH-1:0] content = registers[selected];
    wire [ADDRESS_WIDTH:0] sum_with_carry = {value, 1'b1} + {is_sum ? content : ZERO, subtract};
    wire [ADDRESS_WIDTH-1:0] sum = sum_with_carry[ADDRESS_WIDTH:1];

    // The sum of the word before: 0 if the register of a JumpEqual equals its value.
    wire equal = access_address == ZERO;
    wire jump = first ? opcode == `OP_LOOP && content != ONE : operation == `OP_JUMP_EQUAL && equal;
    wire loaded_now = loading && wait_load == 3'd1;
    wire [31:0] loaded_word = {{(32-WIDTH){loaded[WIDTH-1]}}, loaded};

    // The new value of a register: the sum, or for a Load the word, then its double, `shift` times.
    // Between two doublings it is held in the register of the Load's address, which is free by then.
    wire doubled_now = loading && wait_load == 3'd0;
    wire [ADDRESS_WIDTH-1:0] result =
        !loading ? sum : loaded_now ? loaded_word[ADDRESS_WIDTH-1:0] : access_address << 1;

    wire restart = reset || start;
    wire write_register = loaded_now || doubled_now ||
        execute && first && (opcode == `OP_SET || opcode == `OP_INCREMENT || opcode == `OP_LOOP);

    always @(posedge clock) begin
        access_write <= 1'b0;
        access_best <= shift[0];

        if (program_enable) begin
            fetched <= 1'b1;
            valid <= fetched;
            program_address <= program_address + 1'b1;
        end

        if (write_register) registers[loading ? target_register : selected] <= result;
        if (execute || loaded_now || doubled_now) access_address <= result;

        if (loading) begin
            if (wait_load != 3'd0) wait_load <= wait_load - 3'd1;
            else doublings <= doublings - 5'd1;
            loading <= wait_load > 3'd1 || (wait_load == 3'd1 ? doublings != 5'd0 : doublings > 5'd1);
        end

        if (take) offered <= 1'b0;
        if (execute) begin
            if (first) begin
                operation <= opcode;
                short <= word[31];
                target_register <= word[26:24];
                shift <= word[4:0];
                case (opcode)
                    `OP_RUN: left <= LAST_WORD;
                    `OP_JUMP_EQUAL, `OP_LOAD, `OP_STORE: left <= 5'd1;
                    `OP_HALT: begin
                        busy <= 1'b0;
                        done <= 1'b1;
                    end
                    default: left <= 5'd0;
                endcase
            end else begin
                left <= left - 5'd1;
                if (operation == `OP_RUN && run_ends) begin
                    offered <= 1'b1;
                    left <= 5'd0;
                end
                if (operation == `OP_STORE) access_write <= 1'b1;
                if (operation == `OP_LOAD) begin
                    loading <= 1'b1;
                    wait_load <= LOAD_WAIT;
                    doublings <= shift;
                end
            end
            if (first ? opcode == `OP_RUN : operation == `OP_RUN) begin
                if (SHORT == 0) description <= {word[31:ADDRESS_WIDTH], sum, description[`RUN_BITS-1:32]};
                else if (later)
                    description[`RUN_BITS-1:FIRST_BITS] <=
                        {word[31:ADDRESS_WIDTH], sum, description[`RUN_BITS-1:FIRST_BITS+32]};
                else begin
                    description[FIRST_BITS-1:0] <= {word[31:ADDRESS_WIDTH], sum, description[FIRST_BITS-1:32]};
                    if (first) description[`RUN_BITS-1:FIRST_BITS] <= {LATER_BITS{1'b0}};
                end
            end
            if (jump) begin
                program_address <= word[ADDRESS_WIDTH-1:0];
                fetched <= 1'b0;
                valid <= 1'b0;
            end
        end

        if (restart) begin
            busy <= start && !reset;
            done <= 1'b0;
            program_address <= ZERO;
            fetched <= 1'b0;
            valid <= 1'b0;
            left <= 5'd0;
            offered <= 1'b0;
            loading <= 1'b0;
        end
    end
endmodule
`default_nettype wire
