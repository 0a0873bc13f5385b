// SPDX-License-Identifier: MIT
// The sequencer against the instruction set, with any constant program of WORDS words in the memory's place.
//
// A second decoder, which takes the program's words as the sequencer does, specifies the outputs: `place` is where the
// word stands in the program, so no word is ever decoded that the program does not reach; `value` are the registers;
// `wanted` is the description of a run (its words come in from above). This proof leaves open when a word is
// taken; the benches check it.
//
// With FROM_RESET the first two clocks are a reset; without, all registers begin in any state, and what held in every
// clock so far must hold in this one. Nothing is claimed of a program that names register 0 in Set, Add, Loop or
// Load, from there on.
`include "fields.vh"
`default_nettype none
module sequencer_proof #(
    // Bits of an address; of those, the program memory uses PROGRAM_BITS.
    parameter ADDRESS_WIDTH = 8,
    parameter PROGRAM_BITS = 3,
    // Bits of an activation word.
    parameter WIDTH = 4,
    // Begin with a reset (1), or in any state (0).
    parameter FROM_RESET = 1
) (
    input  wire                        clock,
    input  wire                        reset,
    input  wire                        start,
    input  wire [32*(1<<PROGRAM_BITS)-1:0] any_program,
    input  wire                        take,
    input  wire                        idle,
    input  wire signed [WIDTH-1:0]     loaded,
    output wire                        violated
);
    localparam A = ADDRESS_WIDTH;
    localparam WORDS = 1 << PROGRAM_BITS;

    // In the first of two clocks of reset, registers of any contents may still do something.
    reg later, settled;
    initial {later, settled} = 2'b0;
    always @(posedge clock) {later, settled} <= {1'b1, later};
    wire reset_now = FROM_RESET && !settled || reset;

    // The program memory: any contents, the same in all clocks; two enabled clocks from address to word.
    reg [32*WORDS-1:0] kept;
    wire [32*WORDS-1:0] contents = later ? kept : any_program;
    always @(posedge clock) kept <= contents;
    wire [A-1:0] program_address;
    wire program_enable;
    reg [31:0] fetched, word;
    always @(posedge clock) if (program_enable) begin
        fetched <= contents[{program_address[PROGRAM_BITS-1:0], 5'd0} +: 32];
        word <= fetched;
    end

    wire busy, done, offered, loading, access_write, access_best;
    wire [A-1:0] access_address;
    wire [`RUN_BITS-1:0] description;
    sequencer #(.ADDRESS_WIDTH(A), .WIDTH(WIDTH)) u_sequencer (
        .clock(clock), .reset(reset_now), .start(start), .busy(busy), .done(done),
        .program_address(program_address), .program_enable(program_enable), .word(word),
        .offered(offered), .description(description), .take(take && offered), .idle(idle),
        .access_address(access_address), .loading(loading), .access_write(access_write), .access_best(access_best),
        .loaded(loaded)
    );
    // Names of the sequencer, which yosys merges when it flattens.
    (* hierconn *) wire \u_sequencer.execute , \u_sequencer.fetched , \u_sequencer.valid , \u_sequencer.equal ;
    (* hierconn *) wire [4:0] \u_sequencer.left , \u_sequencer.shift , \u_sequencer.doublings ;
    (* hierconn *) wire [2:0] \u_sequencer.operation , \u_sequencer.target_register , \u_sequencer.wait_load ;
    (* hierconn *) wire [A-1:0] \u_sequencer.registers[1] , \u_sequencer.registers[2] , \u_sequencer.registers[3] ,
        \u_sequencer.registers[4] ;
    (* hierconn *) wire [A-1:0] \u_sequencer.registers[5] , \u_sequencer.registers[6] , \u_sequencer.registers[7] ;
    wire taken = \u_sequencer.execute ;

    // The second decoder. Words are numbered within their instruction.
    reg [A-1:0] place;
    reg [4:0] number;
    reg [2:0] kind, target;
    reg [4:0] doubled;
    reg as_value, equals, running, finished, illegal;
    reg [8*A-1:0] value;
    reg [32*`RUN_WORDS-1:0] wanted;
    wire [31:0] now = contents[{place[PROGRAM_BITS-1:0], 5'd0} +: 32];
    wire [2:0] opcode = number == 5'd0 ? now[30:28] : kind;
    wire [2:0] named = now[26:24];
    wire [A-1:0] held = named == 3'd0 ? {A{1'b0}} : value[A*named +: A];
    wire [A-1:0] number_given = now[A-1:0];
    wire [A-1:0] address = held + number_given;
    wire [4:0] last = opcode == `OP_RUN ? `RUN_WORDS - 1
                    : opcode == `OP_JUMP_EQUAL || opcode == `OP_LOAD || opcode == `OP_STORE ? 5'd1 : 5'd0;
    wire over = number == last;
    wire jumps = over && (opcode == `OP_LOOP && held != 1 || opcode == `OP_JUMP_EQUAL && equals);

    // A Load: the clocks since, the word in its third, shifted at once.
    reg reading, stored_before;
    reg [1:0] clocks;
    reg [A-1:0] stored_address;
    reg stored_best;
    reg [2:0] reading_register;
    wire [31:0] wide = {{(32-WIDTH){loaded[WIDTH-1]}}, loaded};
    wire [31:0] shifted = wide << doubled;

    always @(posedge clock) begin
        stored_before <= 1'b0;
        if (reading) begin
            clocks <= clocks + 2'd1;
            if (clocks == 2'd2) begin
                reading <= 1'b0;
                value[A*reading_register +: A] <= shifted[A-1:0];
            end
        end
        if (taken) begin
            place <= jumps ? number_given : place + 1'b1;
            number <= over ? 5'd0 : number + 5'd1;
            kind <= opcode;
            if (number == 5'd0) begin
                target <= named;
                doubled <= now[4:0];
                as_value <= now[0];
                equals <= held == number_given;
                if (named == 3'd0
                    && (opcode == `OP_SET || opcode == `OP_INCREMENT || opcode == `OP_LOOP || opcode == `OP_LOAD))
                    illegal <= 1'b1;
            end
            case (opcode)
                `OP_SET: value[A*named +: A] <= number_given;
                `OP_INCREMENT: value[A*named +: A] <= held + number_given;
                `OP_LOOP: value[A*named +: A] <= held - 1'b1;
                `OP_HALT: {running, finished} <= 2'b01;
                `OP_LOAD, `OP_STORE: if (over) begin
                    stored_before <= opcode == `OP_STORE;
                    stored_address <= address;
                    stored_best <= as_value;
                    reading <= opcode == `OP_LOAD;
                    reading_register <= target;
                    clocks <= 2'd0;
                end
                `OP_RUN: wanted <= {now[31:A], number >= 5'd1 && number <= 5'd4 ? address : number_given,
                    wanted[32*`RUN_WORDS-1:32]};
                default: ;
            endcase
        end
        if (reset_now || start) begin
            {running, finished} <= {start && !reset_now, 1'b0};
            place <= {A{1'b0}};
            number <= 5'd0;
            reading <= 1'b0;
        end
        if (!settled && FROM_RESET) begin
            illegal <= 1'b0;
            wanted <= description;
            value <= { \u_sequencer.registers[7] , \u_sequencer.registers[6] , \u_sequencer.registers[5] ,
                       \u_sequencer.registers[4] , \u_sequencer.registers[3] , \u_sequencer.registers[2] ,
                       \u_sequencer.registers[1] , {A{1'b0}}};
        end
        // A reset may occur during a Load.
        if ((settled || !FROM_RESET) && (reset_now || start) && loading) illegal <= 1'b1;
    end

    wire run_wrong = description != wanted;

    wire [A-1:0] expected_1 = place + 1'b1, expected_2 = place + 2'd2;
    wire [31:0] next_word = contents[{expected_1[PROGRAM_BITS-1:0], 5'd0} +: 32];
    wire fetch_wrong = busy &&
        ( \u_sequencer.valid
          ? word != now || fetched != next_word || ! \u_sequencer.fetched || program_address != expected_2
        : \u_sequencer.fetched ? fetched != now || program_address != expected_1
        : program_address != place);
    wire [4:0] to_come = number == 5'd0 ? 5'd0 : kind == `OP_RUN ? `RUN_WORDS - number : 5'd2 - number;
    wire state_wrong = busy != running || done != finished || running && finished || \u_sequencer.left != to_come ||
        number != 0 && ( \u_sequencer.operation != kind || kind == `OP_RUN && number > 19 ||
            kind != `OP_RUN && number != 1 ||
            kind != `OP_RUN && kind != `OP_JUMP_EQUAL && kind != `OP_LOAD && kind != `OP_STORE ||
            kind == `OP_JUMP_EQUAL && \u_sequencer.equal != equals ||
            kind == `OP_STORE && \u_sequencer.shift [0] != as_value ||
            kind == `OP_LOAD && ( \u_sequencer.target_register != target || \u_sequencer.shift != doubled)) ||
        offered && kind == `OP_RUN && number != 0;
    wire load_wrong = reading && (!loading || \u_sequencer.wait_load != 2'd3 - clocks ||
                                  \u_sequencer.doublings != doubled || clocks > 2 ||
                                  access_address != stored_address) ||
        loading && ( \u_sequencer.target_register != reading_register || number != 0 || !running ||
                     !reading && ( \u_sequencer.wait_load != 0 || \u_sequencer.doublings == 0));
    wire store_wrong = access_write != stored_before ||
        access_write && (access_address != stored_address || access_best != stored_best);
    wire [2:0] shifting = loading && !reading ? \u_sequencer.target_register : 3'd0;
    wire [4:0] places = \u_sequencer.doublings ;
    wire [7*A-1:0] registers = { \u_sequencer.registers[7] , \u_sequencer.registers[6] , \u_sequencer.registers[5] ,
                                 \u_sequencer.registers[4] , \u_sequencer.registers[3] , \u_sequencer.registers[2] ,
                                 \u_sequencer.registers[1] };
    reg values_wrong;
    integer index;
    always @* begin
        values_wrong = 1'b0;
        for (index = 1; index < 8; index = index + 1)
            values_wrong = values_wrong
                || value[A*index +: A] != (registers[A*(index-1) +: A] << (shifting == index ? places : 5'd0))
                || shifting == index && access_address != registers[A*(index-1) +: A];
    end
    wire wrong = state_wrong || fetch_wrong || run_wrong || load_wrong || store_wrong || values_wrong;
    wire broken = !illegal && wrong;
    reg trusted;
    initial trusted = 1'b1;
    always @(posedge clock) trusted <= trusted && (FROM_RESET || !broken);
    assign violated = (FROM_RESET ? settled : later) && trusted && broken;
endmodule
`default_nettype wire
