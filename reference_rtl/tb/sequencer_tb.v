// SPDX-License-Identifier: MIT
// sequencer.v on a program of its own: registers, jumps, loops, a Load with shift, a Store, descriptions with and
// without registers, while a loop nest is busy for several clocks. Its outputs, its stores and the clock of its
// halt are compared with the program's meaning. Then a reset of one clock ends the program around its Load, and it
// starts again.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`include "fields.vh"
`default_nettype none
module sequencer_tb;
    // Short descriptions: none, those of the first runs (1), or that of the last one (2).
    parameter SHORT = 0;
    localparam ADDRESS = 10, WIDTH = 8;
    reg clock = 1'b0;
    always #5 clock = ~clock;
    reg reset = 1'b1, start = 1'b0, take = 1'b0, idle = 1'b1;
    wire busy, done, program_enable, offered, loading, access_write, access_best;
    wire [ADDRESS-1:0] program_address, access_address;
    wire [`RUN_BITS-1:0] description;
    reg [31:0] words [0:255];
    reg [31:0] fetched, word;
    reg signed [WIDTH-1:0] loaded_1, loaded;

    sequencer #(.ADDRESS_WIDTH(ADDRESS), .WIDTH(WIDTH), .SHORT(SHORT)) u_sequencer (
        .clock(clock), .reset(reset), .start(start), .busy(busy), .done(done),
        .program_address(program_address), .program_enable(program_enable), .word(word),
        .offered(offered), .description(description), .take(take), .idle(idle),
        .access_address(access_address), .loading(loading), .access_write(access_write), .access_best(access_best),
        .loaded(loaded)
    );

    always @(posedge clock) begin
        if (program_enable) begin
            fetched <= words[program_address[7:0]];
            word <= fetched;
        end
        // The activation memory holds its address plus 3.
        loaded_1 <= access_address[WIDTH-1:0] + 3;
        loaded <= loaded_1;
    end

    integer place, field, runs, stores, delay, round;
    reg [23:0] seen;

    task run_words(input [2:0] register, input short);
        begin
            words[place] = {short, `OP_RUN, 28'h0ABCDE1};
            for (field = 1; field < (short ? 13 : `RUN_WORDS); field = field + 1)
                words[place+field] = {5'd0, field < 5 ? register : 3'd0, 14'd0, field[9:0]};
            if (short) begin                                    // skip the omitted words
                words[place+13] = {1'b0, `OP_JUMP_EQUAL, 28'd0};
                words[place+14] = place + `RUN_WORDS;
            end
            place = place + `RUN_WORDS;
        end
    endtask

    // The loop nest: accepts a description after some clocks, then is busy for some clocks.
    always @(negedge clock) begin
        if (take) begin
            take = 1'b0;
            idle = 1'b0;
            delay = 5 + ($random & 31);
        end else if (offered && idle) take = 1'b1;
        else if (delay > 0) begin
            delay = delay - 1;
            if (delay == 0) idle = 1'b1;
        end
    end

    always @(posedge clock) begin
        if (take) begin
            // The first three have register 2 = 10, 30, 50 added; the last has register 5 = (7 + 20 + 3) << 2.
            for (field = 0; field < `RUN_WORDS; field = field + 1) begin
                seen = field == 0 ? 24'hBCDE1 : field + (field < 5 ? (runs < 3 ? 10 + 20 * runs : 120) : 0);
                if (field >= 13 && SHORT == (runs < 3 ? 1 : 2)) seen = 24'd0;
                if (description[32*field +: 20] !== seen[19:0])
                    $fatal(1, "FAIL: run %0d word %0d is %h, expected %h", runs, field, description[32*field +: 32],
                           seen);
            end
            runs = runs + 1;
        end
        if (access_write) begin
            if (!idle || access_address !== 10'd77 + 70 || access_best !== 1'b1)
                $fatal(1, "FAIL: store to %0d best %b idle %b", access_address, access_best, idle);
            stores = stores + 1;
        end
        if (loading && !idle) $fatal(1, "FAIL: a load does not wait");
    end

    task restart;
        begin
            runs = 0;
            stores = 0;
            delay = 0;
            take = 1'b0;
            idle = 1'b1;
            start = 1'b1;
            @(negedge clock);
            start = 1'b0;
        end
    endtask

    task run_to_the_end;
        begin
            restart;
            @(negedge clock);
            while (!done) begin
                if (!busy) $fatal(1, "FAIL: neither busy nor done");
                @(negedge clock);
            end
            if (!idle || busy || runs != 4 || stores != 1)
                $fatal(1, "FAIL: halted with idle %b busy %b runs %0d stores %0d", idle, busy, runs, stores);
        end
    endtask

    initial begin
        place = 0;
        words[0] = {1'b0, `OP_SET, 1'b0, 3'd1, 24'd3};          // r1 = 3
        words[1] = {1'b0, `OP_SET, 1'b0, 3'd2, 24'd10};         // r2 = 10
        place = 2;
        run_words(3'd2, SHORT == 1);                            // 2: run, all addresses + r2
        words[22] = {1'b0, `OP_INCREMENT, 1'b0, 3'd2, 24'd20};        // r2 += 20
        words[23] = {1'b0, `OP_LOOP, 1'b0, 3'd1, 24'd2};        // three times
        words[24] = {1'b0, `OP_JUMP_EQUAL, 1'b0, 3'd2, 24'd69}; // r2 is 70: not taken
        words[25] = 32'd60;
        words[26] = {1'b0, `OP_JUMP_EQUAL, 1'b0, 3'd2, 24'd70}; // taken
        words[27] = 32'd30;
        words[28] = {1'b0, `OP_STORE, 28'd0};                   // skipped
        words[29] = 32'd5;
        words[30] = {1'b0, `OP_INCREMENT, 1'b0, 3'd2, 24'hFFFFFF};    // r2 = 69
        words[31] = {1'b0, `OP_INCREMENT, 1'b0, 3'd2, 24'd1};         // r2 = 70
        words[32] = {1'b0, `OP_STORE, 28'd1};                   // memory[77 + r2] = best
        words[33] = {5'd0, 3'd2, 24'd77};
        words[34] = {1'b0, `OP_SET, 1'b0, 3'd4, 24'd20};        // r4 = 20
        words[35] = {1'b0, `OP_LOAD, 1'b0, 3'd5, 19'd0, 5'd2};  // r5 = memory[7 + r4] << 2
        words[36] = {5'd0, 3'd4, 24'd7};
        place = 37;
        run_words(3'd5, SHORT == 2);
        words[57] = {1'b0, `OP_JUMP_EQUAL, 1'b0, 3'd0, 24'd0};  // always
        words[58] = 32'd61;
        words[59] = {1'b0, `OP_STORE, 28'd0};
        words[60] = 32'd5;
        words[61] = 32'd0;                                      // halt
        repeat (3) @(negedge clock);
        reset = 1'b0;
        for (round = 0; round < 20; round = round + 1) begin
            run_to_the_end;
            repeat (5) @(negedge clock);
        end
        for (round = 0; round < 10; round = round + 1) begin
            restart;
            while (!loading) @(negedge clock);
            repeat (round) @(negedge clock);
            reset = 1'b1;
            @(negedge clock);
            reset = 1'b0;
            if (busy || done || loading || offered || access_write)
                $fatal(1, "FAIL: a reset %0d clocks after the beginning of a load leaves something", round);
            run_to_the_end;
        end
        $display("PASS: %0d vectors", 30 * 5);
        $finish;
    end

    initial begin
        repeat (100000) @(posedge clock);
        $fatal(1, "FAIL: not done");
    end
endmodule
`default_nettype wire
