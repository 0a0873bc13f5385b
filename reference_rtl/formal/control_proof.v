// SPDX-License-Identifier: MIT
// What the control of the engine must never do, with memories that return any value (`free_memories.v`): for every
// program, all data, any length. The claims are outputs that must never be high.
//
// The engine is the narrowest there is, because no claim is about values of words. It is configured idle, gets three
// clocks of reset, may be reset again at any time, for a clock or more, and is started whenever it is not busy.
`include "fields.vh"
`default_nettype none
module control_proof #(
    // Multiply-accumulate lanes.
    parameter LANES = 2,
    // Sums that leave a tile in one clock.
    parameter DRAIN = 1,
    // Resets may come again (1), or are over (0).
    parameter RESETS = 1,
    // The host may write while the engine is busy (1), or not (0).
    parameter HOST_WRITES = 0
) (
    input  wire        clock,
    input  wire        reset,
    input  wire        start,
    input  wire        host_write,
    input  wire [23:0] host_address,
    input  wire [1:0]  host_write_data,

    // busy and done at once.
    output wire        busy_and_done,
    // After Halt, or after a reset: a write that is not the host's, or one that was in the pipeline.
    output wire        write_after_halt,
    output wire        result_after_halt,
    output wire        result_after_reset,
    // Two writers or two readers of the activation memory; new settings for old results.
    output wire        accesses_collide,
    output wire        settings_collide,
    // A Store's write, a Load, a changed register, or a word of a run's description without such an instruction.
    output wire        store_from_nothing,
    output wire        load_from_nothing,
    output wire        register_from_nothing,
    output wire        run_from_nothing,
    // While busy: a word of the engine that is not written, or another that is, and is not the host's.
    output wire        host_collides
);
    (* hierconn *) wire \u_engine.idle , \u_engine.take , \u_engine.offered , \u_engine.mac , \u_engine.loading ;
    (* hierconn *) wire [DRAIN-1:0] \u_engine.write , \u_engine.result_valid , \u_engine.sum_valid ,
        \u_engine.word_valid , \u_engine.memory_write ;
    (* hierconn *) wire [7:0] \u_engine.write_address , \u_engine.memory_address ;
    (* hierconn *) wire [2*DRAIN-1:0] \u_engine.write_data , \u_engine.memory_data ;
    (* hierconn *) wire \u_engine.access_write , \u_engine.configure , \u_engine.complete_5 ;
    (* hierconn *) wire \u_engine.u_loop_nest.drained ;
    (* hierconn *) wire [`RUN_BITS-1:0] \u_engine.run ;
    (* hierconn *) wire \u_engine.u_drain.active , \u_engine.requantizers[0].u_requantize.active ,
        \u_engine.u_write_back.active ;
    (* hierconn *) wire \u_engine.u_sequencer.execute , \u_engine.u_sequencer.write_register ;
    (* hierconn *) wire [31:0] \u_engine.program_word ;

    // Names of the engine, which yosys merges when it flattens; a register among them would lose its initial value.
    wire busy, done;
    reg idle_at_first;
    reg [2:0] age;
    initial {idle_at_first, age} = 4'b1000;
    wire resetting = !age[2];
    always @(posedge clock) begin
        age <= {age[1:0], 1'b1};
        if (!age[0]) idle_at_first <= \u_engine.idle && !busy;
    end
    // What the assembler guarantees: a last tile of no more channels than lanes. Nothing is claimed of other programs
    // from there on.
    reg illegal;
    initial illegal = 1'b0;
    always @(posedge clock) illegal <= illegal || \u_engine.mac && \u_engine.run [`RUN_LAST_CHANNELS +: 8] >= LANES;
    wire begun = !resetting && idle_at_first && !illegal;
    wire reset_now = resetting || RESETS && reset;
    wire started = start && !reset_now && !busy;

    engine #(
        .LANES(LANES), .DRAIN(DRAIN), .ACTIVATION_WIDTH(2), .WEIGHT_WIDTH(2), .ACCUMULATOR_WIDTH(4), .BIAS_WIDTH(2),
        .ACTIVATION_DEPTH(4 * LANES), .WEIGHT_DEPTH(4), .PARAMETER_DEPTH(4), .TABLE_DEPTH(4), .PROGRAM_DEPTH(4),
        .HOST_WRITES(HOST_WRITES)
    ) u_engine (
        .clock(clock), .reset(reset_now), .start(started), .seed(32'd1), .busy(busy), .done(done),
        .host_write(host_write), .host_address(host_address), .host_write_data(host_write_data), .host_read_data(),
        .load_enable(1'b0), .load_memory(2'd0), .load_address(24'd0), .load_data(32'd0),
        .host_turn(), .weight_valid(1'b0), .weight_ready(), .weight_row({2*LANES{1'b0}}), .stalls(),
        .cycles(), .mac_cycles(), .saturations(), .accumulator_overflow(), .argmax()
    );

    assign busy_and_done = begun && busy && done;
    assign write_after_halt = begun && !busy && | \u_engine.write && !host_write;
    // After Halt, checked without RESETS. After a reset the engine is idle, as after the first one.
    reg reset_before;
    always @(posedge clock) reset_before <= reset_now;
    assign result_after_halt = begun && !RESETS && !busy && ( | \u_engine.result_valid || \u_engine.access_write );
    assign result_after_reset = begun && reset_before &&
        ( \u_engine.complete_5 || | \u_engine.sum_valid || | \u_engine.word_valid || | \u_engine.result_valid );
    assign accesses_collide = begun &&
        ( \u_engine.access_write && | \u_engine.result_valid || \u_engine.loading && \u_engine.mac );
    // `drained` is when a run's first tile may end, and with it the settings change.
    // A configuration that coincides with a reset is still visible for two clocks, without effect.
    reg [2:0] recently_reset;
    always @(posedge clock) recently_reset <= {recently_reset[1:0], reset_now};
    assign settings_collide = begun && recently_reset == 3'b0 &&
        ( \u_engine.configure && ! \u_engine.u_loop_nest.drained || \u_engine.u_loop_nest.drained &&
          ( \u_engine.u_drain.active || \u_engine.requantizers[0].u_requantize.active ||
            \u_engine.u_write_back.active ));

    wire engine_writes = | \u_engine.write ;
    wire changed = \u_engine.memory_write != \u_engine.write || \u_engine.memory_address != \u_engine.write_address ||
        \u_engine.memory_data != \u_engine.write_data ;
    assign host_collides = begun && busy && (engine_writes ? changed : | \u_engine.memory_write && !host_write);

    // A second decoder of the program's words: the current instruction, and how many of its words are still to come.
    reg [4:0] left;
    reg [2:0] operation;
    wire [2:0] opcode = \u_engine.program_word [30:28];
    wire first = left == 5'd0;
    wire [2:0] now = first ? opcode : operation;
    reg executed;
    reg [2:0] executed_operation;
    reg executed_last;
    wire last = first
        ? opcode != `OP_RUN && opcode != `OP_JUMP_EQUAL && opcode != `OP_LOAD && opcode != `OP_STORE : left == 5'd1;
    reg loading_before, offered_before;
    always @(posedge clock) begin
        if (\u_engine.u_sequencer.execute ) begin
            operation <= now;
            left <= !first ? left - 5'd1 : opcode == `OP_RUN ? `RUN_WORDS - 1 : last ? 5'd0 : 5'd1;
        end
        executed <= \u_engine.u_sequencer.execute ;
        executed_operation <= now;
        executed_last <= last;
        loading_before <= \u_engine.loading ;
        offered_before <= \u_engine.offered ;
        if (resetting) executed <= 1'b0;
        if (started || reset_now) begin
            left <= 5'd0;
            loading_before <= 1'b0;
            offered_before <= 1'b0;
        end
    end
    wire finished = executed && executed_last;
    assign store_from_nothing = begun && \u_engine.access_write != (finished && executed_operation == `OP_STORE);
    assign load_from_nothing = begun && \u_engine.loading && !loading_before &&
        !(finished && executed_operation == `OP_LOAD);
    assign register_from_nothing = begun && \u_engine.u_sequencer.write_register && ! \u_engine.loading &&
        !( \u_engine.u_sequencer.execute && first
            && (opcode == `OP_SET || opcode == `OP_INCREMENT || opcode == `OP_LOOP));
    assign run_from_nothing = begun && \u_engine.offered && !offered_before &&
        !(finished && executed_operation == `OP_RUN);
endmodule
`default_nettype wire
