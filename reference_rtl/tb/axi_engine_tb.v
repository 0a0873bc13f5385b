// SPDX-License-Identifier: MIT
// Runs one network through axi_engine: loads the memories by AXI4-Lite, streams vectors in and out; random pauses.
//
// Plusargs as in engine_tb.v (images, inputs, expected, vectors, addresses and words); +seed=N also seeds the pauses,
// +calm=1 makes none; the bench fails after +patience=N clocks without progress (default: 400000).
// The activation image is streamed in before the vectors, with beats that keep no byte between its words; the
// interrupt must follow the events, and illegal accesses must be refused. Ends with
// "PASS: N vectors, W words, C cycles" or "FAIL: ..." and status 1.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`include "axi_registers.vh"
`default_nettype none
module axi_engine_tb;
    parameter LANES = 8;
    parameter DRAIN = 1;
    parameter WORDS = 1;
    parameter PACK = 1;
    parameter ACTIVATION_WIDTH = 16;
    parameter WEIGHT_WIDTH = 16;
    parameter ACCUMULATOR_WIDTH = 48;
    parameter BIAS_WIDTH = 32;
    parameter MULTIPLIER_WIDTH = 0;
    parameter ACTIVATION_DEPTH = 4096;
    parameter WEIGHT_DEPTH = 4096;
    parameter PARAMETER_DEPTH = 512;
    parameter TABLE_DEPTH = 4096;
    parameter PROGRAM_DEPTH = 1024;

    localparam STREAM_WIDTH = (ACTIVATION_WIDTH + 7) / 8 * 8;
    localparam ROW_WIDTH = DRAIN * (MULTIPLIER_WIDTH + 6 + BIAS_WIDTH);
    localparam PARAMETER_WIDTH = ROW_WIDTH > 32 ? ROW_WIDTH : 32;
    localparam LOAD_WIDTH = LANES * WEIGHT_WIDTH > PARAMETER_WIDTH ? LANES * WEIGHT_WIDTH : PARAMETER_WIDTH;
    localparam CHUNKS = (LOAD_WIDTH + 31) / 32;

    reg clock = 1'b0;
    reg reset_n = 1'b0;
    always #5 clock = ~clock;

    reg [7:0] awaddr = 0, araddr = 0;
    reg [31:0] wdata = 0;
    reg [3:0] wstrb = 4'hF;
    reg awvalid = 0, wvalid = 0, bready = 0, arvalid = 0, rready = 0;
    wire awready, wready, bvalid, arready, rvalid;
    wire [1:0] bresp, rresp;
    wire [31:0] rdata;
    reg [STREAM_WIDTH-1:0] in_data = 0;
    reg in_valid = 0, in_last = 0, out_ready = 0;
    reg [STREAM_WIDTH/8-1:0] in_keep = 0;
    wire in_ready, out_valid, out_last, irq;
    wire [STREAM_WIDTH/8-1:0] out_keep;
    wire [STREAM_WIDTH-1:0] out_data;

    axi_engine #(
        .LANES(LANES), .DRAIN(DRAIN), .WORDS(WORDS), .PACK(PACK),
        .ACTIVATION_WIDTH(ACTIVATION_WIDTH), .WEIGHT_WIDTH(WEIGHT_WIDTH),
        .ACCUMULATOR_WIDTH(ACCUMULATOR_WIDTH), .BIAS_WIDTH(BIAS_WIDTH), .MULTIPLIER_WIDTH(MULTIPLIER_WIDTH),
        .ACTIVATION_DEPTH(ACTIVATION_DEPTH),
        .WEIGHT_DEPTH(WEIGHT_DEPTH), .PARAMETER_DEPTH(PARAMETER_DEPTH), .TABLE_DEPTH(TABLE_DEPTH),
        .PROGRAM_DEPTH(PROGRAM_DEPTH)
    ) u_axi_engine (
        .clock(clock), .reset_n(reset_n),
        .s_axil_awaddr(awaddr), .s_axil_awprot(3'b000), .s_axil_awvalid(awvalid), .s_axil_awready(awready),
        .s_axil_wdata(wdata), .s_axil_wstrb(wstrb), .s_axil_wvalid(wvalid), .s_axil_wready(wready),
        .s_axil_bresp(bresp), .s_axil_bvalid(bvalid), .s_axil_bready(bready),
        .s_axil_araddr(araddr), .s_axil_arprot(3'b000), .s_axil_arvalid(arvalid), .s_axil_arready(arready),
        .s_axil_rdata(rdata), .s_axil_rresp(rresp), .s_axil_rvalid(rvalid), .s_axil_rready(rready),
        .s_axis_tdata(in_data), .s_axis_tkeep(in_keep), .s_axis_tlast(in_last),
        .s_axis_tvalid(in_valid), .s_axis_tready(in_ready),
        .m_axis_tdata(out_data), .m_axis_tkeep(out_keep), .m_axis_tlast(out_last),
        .m_axis_tvalid(out_valid), .m_axis_tready(out_ready), .irq(irq)
    );

    reg [8*1024-1:0] name;
    reg [32*CHUNKS-1:0] image [0:65535];
    reg [LANES*ACTIVATION_WIDTH-1:0] rows [0:65535];
    reg [STREAM_WIDTH-1:0] held;
    reg [31:0] value, total_cycles;
    reg signed [ACTIVATION_WIDTH-1:0] word;
    integer words, place, chunk, vector, vectors, element, status, pauses, calm, compared;
    integer input_address, input_words, input_run, input_stride;
    integer output_address, output_words, output_run, output_stride, inputs, expected;

    // A pause of 0 to 3 clocks before or after a handshake.
    task pause;
        if (calm == 0) repeat ($random(pauses) & 3) @(negedge clock);
    endtask

    // Address and data may arrive in any order.
    reg address_left, data_left, address_taken, data_taken;
    task write_answered(input [7:0] where, input [31:0] what, input [1:0] answer);
        begin
            awaddr = where;
            wdata = what;
            address_left = 1'b1;
            data_left = 1'b1;
            while (address_left || data_left) begin
                if (address_left && (calm != 0 || ($random(pauses) & 1) != 0)) awvalid = 1'b1;
                if (data_left && (calm != 0 || ($random(pauses) & 1) != 0)) wvalid = 1'b1;
                #1;
                address_taken = awvalid && awready;
                data_taken = wvalid && wready;
                @(negedge clock);
                if (address_taken) {awvalid, address_left} = 2'b00;
                if (data_taken) {wvalid, data_left} = 2'b00;
            end
            pause;
            bready = 1'b1;
            #1;
            while (!bvalid) begin
                @(negedge clock);
                #1;
            end
            if (bresp !== answer) $fatal(1, "FAIL: a write of %h to %h is answered with %b", what, where, bresp);
            @(negedge clock);
            bready = 1'b0;
        end
    endtask

    task write_register(input [7:0] where, input [31:0] what);
        write_answered(where, what, 2'b00);
    endtask

    task write_is_refused(input [7:0] where, input [31:0] what);
        write_answered(where, what, 2'b10);
    endtask

    task read_register(input [7:0] where);
        begin
            araddr = where;
            arvalid = 1'b1;
            #1;
            while (!arready) begin
                @(negedge clock);
                #1;
            end
            @(negedge clock);
            arvalid = 1'b0;
            pause;
            rready = 1'b1;
            #1;
            while (!rvalid) begin
                @(negedge clock);
                #1;
            end
            value = rdata;
            if (^value === 1'bx || rresp !== 2'b00) $fatal(1, "FAIL: register %h reads %h", where, value);
            @(negedge clock);
            rready = 1'b0;
        end
    endtask

    // A word, sometimes after a beat that keeps no byte.
    task send(input [STREAM_WIDTH-1:0] what, input is_last);
        begin
            pause;
            if (calm == 0 && ($random(pauses) & 3) == 0) send_beat({STREAM_WIDTH{1'b1}}, 1'b1, {STREAM_WIDTH/8{1'b0}});
            send_beat(what, is_last, {STREAM_WIDTH/8{1'b1}});
        end
    endtask

    task send_beat(input [STREAM_WIDTH-1:0] what, input is_last, input [STREAM_WIDTH/8-1:0] keep);
        begin
            in_data = what;
            in_last = is_last;
            in_keep = keep;
            in_valid = 1'b1;
            #1;
            while (!in_ready) begin
                @(negedge clock);
                #1;
            end
            @(negedge clock);
            in_valid = 1'b0;
            in_last = 1'bx;
            in_keep = {STREAM_WIDTH/8{1'bx}};
            in_data = {STREAM_WIDTH{1'bx}};
        end
    endtask

    task wait_rest;
        begin
            value = 32'd1;
            while (value[0]) read_register(`AXI_STATUS);
        end
    endtask

    // Writable registers are written byte by byte and read back; the others return the engine's parameters.
    reg [7:0] place_of [0:10];
    reg [31:0] kept [0:10], bits_of [0:10];
    reg [31:0] mask;
    integer number, round;
    task registers_keep_what_is_written;
        begin
            for (number = 0; number < 11; number = number + 1) begin
                place_of[number] = number == 0 ? `AXI_SEED : number == 1 ? `AXI_WORD_ADDRESS
                    : number == 10 ? `AXI_INTERRUPT_ENABLE : `AXI_INPUT_ADDRESS + 4 * (number - 2);
                bits_of[number] = number == 0 ? 32'hFFFFFFFF : number == 10 ? 32'hF : 32'hFFFFFF;
                kept[number] = number == 0 ? 32'd1 : 32'd0;
            end
            for (round = 0; round < 120; round = round + 1) begin
                number = $unsigned($random(pauses)) % 11;
                wstrb = round < 30 ? 4'hF : $random(pauses);
                mask = {{8{wstrb[3]}}, {8{wstrb[2]}}, {8{wstrb[1]}}, {8{wstrb[0]}}} & bits_of[number];
                value = $random(pauses);
                kept[number] = kept[number] & ~mask | value & mask;
                write_answered(place_of[number], value, wstrb == 4'd0 ? 2'b10 : 2'b00);
                wstrb = 4'hF;
                if (round % 4 == 0)
                    for (number = 0; number < 11; number = number + 1) register_is(place_of[number], kept[number]);
            end
            wstrb = 4'h7;
            write_is_refused(`AXI_LOAD_DATA, 0);
            wstrb = 4'hE;
            write_is_refused(`AXI_CONTROL, 0);
            wstrb = 4'hF;
            for (number = 1; number < 11; number = number + 1) write_register(place_of[number], 32'd0);
            register_is(`AXI_STATUS, 0);
            register_is(`AXI_CYCLES, 0);
            register_is(`AXI_IDENTIFICATION, `AXI_IDENTIFICATION_VALUE);
            register_is(`AXI_VERSION, `AXI_VERSION_VALUE);
            register_is(`AXI_LANES, LANES);
            register_is(`AXI_DRAIN, DRAIN);
            register_is(`AXI_WORDS, WORDS);
            register_is(`AXI_PACK, PACK);
            register_is(`AXI_ACTIVATION_WIDTH, ACTIVATION_WIDTH);
            register_is(`AXI_WEIGHT_WIDTH, WEIGHT_WIDTH);
            register_is(`AXI_ACCUMULATOR_WIDTH, ACCUMULATOR_WIDTH);
            register_is(`AXI_BIAS_WIDTH, BIAS_WIDTH);
            register_is(`AXI_MULTIPLIER_WIDTH, MULTIPLIER_WIDTH);
            register_is(`AXI_ACTIVATION_DEPTH, ACTIVATION_DEPTH);
            register_is(`AXI_WEIGHT_DEPTH, WEIGHT_DEPTH);
            register_is(`AXI_PARAMETER_DEPTH, PARAMETER_DEPTH);
            register_is(`AXI_TABLE_DEPTH, TABLE_DEPTH);
            register_is(`AXI_PROGRAM_DEPTH, PROGRAM_DEPTH);
        end
    endtask

    task register_is(input [7:0] where, input [31:0] wanted);
        begin
            read_register(where);
            if (value !== wanted) $fatal(1, "FAIL: register %h reads %h, not %h", where, value, wanted);
        end
    endtask

    task load(input [1:0] memory);
        for (place = 0; place < words; place = place + 1) begin
            if (^image[place][31:0] === 1'bx) $fatal(1, "FAIL: memory image %0d is missing or short", memory);
            for (chunk = 0; chunk < CHUNKS; chunk = chunk + 1)
                write_register(`AXI_LOAD_DATA, image[place][32*chunk +: 32]);
            write_register(`AXI_LOAD_COMMIT, {6'd0, memory, place[23:0]});
        end
    endtask

    initial begin
        if (!$value$plusargs("seed=%d", pauses)) pauses = 1;
        if (!$value$plusargs("calm=%d", calm)) calm = 0;
        compared = 0;
        total_cycles = 0;
        repeat (4) @(negedge clock);
        reset_n = 1'b1;
        registers_keep_what_is_written;
        status = $value$plusargs("program_words=%d", words) && $value$plusargs("program=%s", name);
        $readmemh(name, image, 0, words - 1);
        load(2'd0);
        status = $value$plusargs("weights_words=%d", words) && $value$plusargs("weights=%s", name);
        if (words > 0) $readmemh(name, image, 0, words - 1);
        load(2'd1);
        status = $value$plusargs("parameters_words=%d", words) && $value$plusargs("parameters=%s", name);
        if (words > 0) $readmemh(name, image, 0, words - 1);
        load(2'd2);
        status = $value$plusargs("tables_words=%d", words) && $value$plusargs("tables=%s", name);
        if (words > 0) $readmemh(name, image, 0, words - 1);
        load(2'd3);
        status = $value$plusargs("activations_words=%d", words) && $value$plusargs("activations=%s", name);
        if (words > 0) begin
            $readmemh(name, rows, 0, words - 1);
            write_register(`AXI_INPUT_ADDRESS, 0);
            write_register(`AXI_INPUT_WORDS, words * LANES);
            write_register(`AXI_INPUT_RUN, words * LANES);
            write_register(`AXI_INPUT_STRIDE, 0);
            write_register(`AXI_CONTROL, 1);
            for (place = 0; place < words; place = place + 1)
                for (element = 0; element < LANES; element = element + 1) begin
                    held = {STREAM_WIDTH{1'b0}};
                    held[ACTIVATION_WIDTH-1:0] = rows[place][element*ACTIVATION_WIDTH +: ACTIVATION_WIDTH];
                    send(held, place == words - 1 && element == LANES - 1);
                end
            wait_rest;
        end
        // The first word is read by its address.
        if (words > 0) begin
            write_register(`AXI_WORD_ADDRESS, 0);
            read_register(`AXI_WORD_DATA);
            word = rows[0][ACTIVATION_WIDTH-1:0];
            if (value !== {{32-ACTIVATION_WIDTH{word[ACTIVATION_WIDTH-1]}}, word})
                $fatal(1, "FAIL: word 0 reads %h, not %h", value, word);
            read_register(`AXI_WORD_ADDRESS);
            if (value !== 32'd1) $fatal(1, "FAIL: the address of the next word is %0d, not 1", value);
        end
        write_is_refused(8'h5C, 0);  // there is no register
        write_is_refused(`AXI_LANES, 0);
        write_is_refused(`AXI_LOAD_COMMIT, {8'd2, PARAMETER_DEPTH[23:0]});

        if (!($value$plusargs("vectors=%d", vectors) && $value$plusargs("input_words=%d", input_words)
              && $value$plusargs("input_address=%d", input_address) && $value$plusargs("output_words=%d", output_words)
              && $value$plusargs("output_address=%d", output_address)))
            $fatal(1, "FAIL: +vectors= +input_words= +input_address= +output_words= +output_address= are mandatory");
        // Without +output_run the output in runs of one word, one apart: the same place.
        if (!$value$plusargs("input_run=%d", input_run)) input_run = input_words;
        if (!$value$plusargs("input_stride=%d", input_stride)) input_stride = 0;
        if (!$value$plusargs("output_run=%d", output_run)) output_run = 1;
        if (!$value$plusargs("output_stride=%d", output_stride)) output_stride = 1;
        write_register(`AXI_SEED, 1);
        write_register(`AXI_INPUT_ADDRESS, input_address);
        write_register(`AXI_INPUT_WORDS, input_words);
        write_register(`AXI_INPUT_RUN, input_run);
        write_register(`AXI_INPUT_STRIDE, input_stride);
        write_register(`AXI_OUTPUT_ADDRESS, output_address);
        write_register(`AXI_OUTPUT_WORDS, output_words);
        write_register(`AXI_OUTPUT_RUN, output_run);
        write_register(`AXI_OUTPUT_STRIDE, output_stride);
        status = $value$plusargs("inputs=%s", name);
        inputs = $fopen(name, "r");
        status = $value$plusargs("expected=%s", name);
        expected = $fopen(name, "r");
        if (inputs == 0 || expected == 0) $fatal(1, "FAIL: inputs or expected outputs cannot be read");
        write_register(`AXI_INTERRUPT_PENDING, 32'hF);
        write_register(`AXI_INTERRUPT_ENABLE, 32'hC);  // sent, framing
        write_register(`AXI_CONTROL, 32'hF);
        write_is_refused(`AXI_CONTROL, 32'hF);
        write_is_refused(`AXI_WORD_DATA, 32'h0);
        for (vector = 0; vector < vectors; vector = vector + 1) begin
            for (element = 0; element < input_words; element = element + 1) begin
                status = $fscanf(inputs, "%h", word);
                if (status != 1 || ^word === 1'bx)
                    $fatal(1, "FAIL: input word %0d of vector %0d is missing", element, vector);
                held = {STREAM_WIDTH{1'b0}};
                held[ACTIVATION_WIDTH-1:0] = word;
                send(held, element == input_words - 1);
            end
            if (vector == vectors - 1) write_register(`AXI_CONTROL, 32'h0);  // this one is the last
            for (element = 0; element < output_words; element = element + 1) begin
                status = $fscanf(expected, "%h", word);
                if (status != 1 || ^word === 1'bx)
                    $fatal(1, "FAIL: expected word %0d of vector %0d is missing", element, vector);
                pause;
                out_ready = 1'b1;
                #1;
                while (!out_valid) begin
                    @(negedge clock);
                    #1;
                end
                held = out_data;
                // An offered beat must not change until it is accepted.
                if (calm == 0 && ($random(pauses) & 1) != 0) begin
                    out_ready = 1'b0;
                    @(negedge clock);
                    pause;
                    if (!out_valid || out_data !== held)
                        $fatal(1, "FAIL: vector %0d element %0d is withdrawn", vector, element);
                    out_ready = 1'b1;
                    #1;
                end
                if (out_data[ACTIVATION_WIDTH-1:0] !== word)
                    $fatal(1, "FAIL: vector %0d element %0d expected %h got %h", vector, element, word, out_data);
                if (out_keep !== {STREAM_WIDTH/8{1'b1}} || ^out_data === 1'bx)
                    $fatal(1, "FAIL: vector %0d element %0d keeps %b of %h", vector, element, out_keep, out_data);
                if (irq !== 1'b0) $fatal(1, "FAIL: an interrupt before the last word of vector %0d", vector);
                if (out_last !== (element == output_words - 1))
                    $fatal(1, "FAIL: vector %0d element %0d has tlast = %b", vector, element, out_last);
                @(negedge clock);
                out_ready = 1'b0;
                compared = compared + 1;
            end
            read_register(`AXI_INTERRUPT_PENDING);
            if (value[2:0] !== 3'b111 || value[3] || irq !== 1'b1)
                $fatal(1, "FAIL: pending %b and irq %b after vector %0d", value[3:0], irq, vector);
            write_register(`AXI_INTERRUPT_PENDING, value);
            if (irq !== 1'b0) $fatal(1, "FAIL: the interrupt is not cleared after vector %0d", vector);
            read_register(`AXI_CYCLES);
            total_cycles = total_cycles + value;
        end
        wait_rest;
        if (!value[1]) $fatal(1, "FAIL: done is not set");
        if (compared == 0) $fatal(1, "FAIL: no word was compared");
        read_register(`AXI_MAC_CYCLES);
        $write("Last vector: %0d MAC cycles, ", value);
        read_register(`AXI_SATURATIONS);
        $write("%0d saturations, ", value);
        read_register(`AXI_ARGMAX);
        $display("argmax %0d", value);
        $display("PASS: %0d vectors, %0d words, %0d cycles", vectors, compared, total_cycles);
        $finish;
    end

    // Reads of STATUS do not count as progress.
    integer still = 0, patience;
    initial if (!$value$plusargs("patience=%d", patience)) patience = 400000;
    always @(posedge clock) begin
        still <= bvalid && bready || in_valid && in_ready || out_valid && out_ready ? 0 : still + 1;
        if (still == patience) $fatal(1, "FAIL: nothing moved for %0d clocks", patience);
    end
endmodule
`default_nettype wire
