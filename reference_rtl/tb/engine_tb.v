// SPDX-License-Identifier: MIT
// Runs one network on the engine: loads the memory images, and for every vector writes the input, starts, and compares the output.
//
// Plusargs (files by $readmemh or as hexadecimal words, one per line; counts are mandatory, so that a short file is noticed):
//   +program=F +program_words=N   +weights=F +weights_words=N   +parameters=F +parameters_words=N
//   +tables=F +tables_words=N     +activations=F +activations_words=N  (rows)      an image of 0 words needs no file
//   +inputs=F    words of all vectors         +input_address=A +input_words=N [+input_run=R +input_stride=S]
//   +expected=F  words of all vectors         +output_address=A +output_words=N [+output_run=R +output_stride=S]
//   +vectors=N   [+seed=N]  seed of the noise generator, plus one for every further vector
//   [+limit=N]   clocks after which a vector counts as hung
//   [+results=F] writes every output word, and a line "# vector cycles mac_cycles saturations accumulator_overflow argmax"
//   [+trace=F]   writes "vector cycle address data" for every word that the engine writes
//   [+vcd=F]     waveforms
// Words of a vector go to consecutive addresses, in runs of R words whose starts are S apart.
// With CLOCK_PORT defined the clock comes from outside (engine_tb.cpp), which spares Verilator a scheduler of delays.
// Without +expected the output is only checked for X. Ends with "PASS: N vectors, W words, C cycles", or with "FAIL: ..." and a
// non-zero exit status at the first word that differs.
`default_nettype none
`ifdef CLOCK_PORT
module engine_tb (clock);
    input wire clock;
`else
module engine_tb;
    reg clock = 1'b0;
    always #5 clock = ~clock;
`endif
    parameter LANES = 8;
    parameter ACTIVATION_WIDTH = 16;
    parameter WEIGHT_WIDTH = 16;
    parameter ACCUMULATOR_WIDTH = 48;
    parameter BIAS_WIDTH = 32;
    parameter MODEL_WIDTH = 0;
    parameter MODEL_SATURATE = 0;
    parameter PRODUCT_BITS = 0;
    parameter PRODUCT_SHIFT = 0;
    parameter PRODUCT_SIGNED = 1;
    parameter PRODUCT_ROUNDING = 0;
    parameter PRODUCT_OVERFLOW = 0;
    parameter ACTIVATION_DEPTH = 4096;
    parameter WEIGHT_DEPTH = 4096;
    parameter PARAMETER_DEPTH = 512;
    parameter TABLE_DEPTH = 4096;
    parameter PROGRAM_DEPTH = 1024;

    localparam NAME_BITS = 8 * 1024;
    // From a change of address until its word is seen.
    localparam READ_CLOCKS = 3;
    // What the bench is at; everything it drives changes with the clock, as everything in the engine does.
    localparam [2:0] RESET = 3'd0, WRITE = 3'd1, START = 3'd2, WAIT = 3'd3, RUN = 3'd4, READ = 3'd5;
    localparam PARAMETER_WIDTH = BIAS_WIDTH + 6 > 32 ? BIAS_WIDTH + 6 : 32;
    localparam LOAD_WIDTH = LANES * WEIGHT_WIDTH > PARAMETER_WIDTH ? LANES * WEIGHT_WIDTH : PARAMETER_WIDTH;

    reg reset = 1'b1;
    reg start = 1'b0;
    reg host_write = 1'b0;
    reg [31:0] seed = 32'd1;
    reg [23:0] host_address = 24'd0;
    reg signed [ACTIVATION_WIDTH-1:0] host_write_data = 0;
    wire busy, done, accumulator_overflow;
    wire signed [ACTIVATION_WIDTH-1:0] host_read_data;
    wire [31:0] cycles, mac_cycles, saturations, argmax;

    engine #(
        .LANES(LANES), .ACTIVATION_WIDTH(ACTIVATION_WIDTH), .WEIGHT_WIDTH(WEIGHT_WIDTH),
        .ACCUMULATOR_WIDTH(ACCUMULATOR_WIDTH), .BIAS_WIDTH(BIAS_WIDTH),
        .MODEL_WIDTH(MODEL_WIDTH), .MODEL_SATURATE(MODEL_SATURATE),
        .PRODUCT_BITS(PRODUCT_BITS), .PRODUCT_SHIFT(PRODUCT_SHIFT), .PRODUCT_SIGNED(PRODUCT_SIGNED),
        .PRODUCT_ROUNDING(PRODUCT_ROUNDING), .PRODUCT_OVERFLOW(PRODUCT_OVERFLOW),
        .ACTIVATION_DEPTH(ACTIVATION_DEPTH), .WEIGHT_DEPTH(WEIGHT_DEPTH), .PARAMETER_DEPTH(PARAMETER_DEPTH),
        .TABLE_DEPTH(TABLE_DEPTH), .PROGRAM_DEPTH(PROGRAM_DEPTH)
    ) engine (
        .clock(clock), .reset(reset), .start(start), .seed(seed), .busy(busy), .done(done),
        .host_write(host_write), .host_address(host_address), .host_write_data(host_write_data), .host_read_data(host_read_data),
        .load_enable(1'b0), .load_memory(2'd0), .load_address(24'd0), .load_data({LOAD_WIDTH{1'b0}}),
        .cycles(cycles), .mac_cycles(mac_cycles), .saturations(saturations),
        .accumulator_overflow(accumulator_overflow), .argmax(argmax)
    );

    reg [NAME_BITS-1:0] name;
    integer words, place, vector, vectors, element, status, pause;
    integer input_address, input_words, input_run, input_stride;
    integer output_address, output_words, output_run, output_stride;
    integer inputs, expected, results, trace;
    integer compared, first_seed;
    reg [31:0] total_cycles;
    reg signed [ACTIVATION_WIDTH-1:0] value;
    reg checking, tracing;
    reg [31:0] limit;
    reg [2:0] phase;

    integer offset, run_start, word_address;

    task fail_image(input [8*12-1:0] memory);
        $fatal(1, "FAIL: the %0s image is missing, short, or not hexadecimal (word %0d of %0d)", memory, place, words);
    endtask

    task demand(input [8*20-1:0] what);
        $fatal(1, "FAIL: +%0s= is missing", what);
    endtask

    initial begin
        limit = 32'hFFFFFFFF;
        vector = 0;
        compared = 0;
        total_cycles = 0;
        tracing = 1'b0;
        results = 0;
        inputs = 0;
        expected = 0;
        if ($value$plusargs("vcd=%s", name)) begin
            $dumpfile(name);
            $dumpvars(0, engine_tb);
        end

        if (!$value$plusargs("program_words=%d", words)) demand("program_words");
        if (words > PROGRAM_DEPTH) $fatal(1, "FAIL: %0d program words, but PROGRAM_DEPTH = %0d", words, PROGRAM_DEPTH);
        if (!$value$plusargs("program=%s", name)) demand("program");
        $readmemh(name, engine.program_memory.words, 0, words - 1);
        for (place = 0; place < words; place = place + 1)
            if (^engine.program_memory.words[place] === 1'bx) fail_image("program");

        if (!$value$plusargs("weights_words=%d", words)) demand("weights_words");
        if (words > WEIGHT_DEPTH) $fatal(1, "FAIL: %0d rows of weights, but WEIGHT_DEPTH = %0d", words, WEIGHT_DEPTH);
        if (words > 0) begin
            if (!$value$plusargs("weights=%s", name)) demand("weights");
            $readmemh(name, engine.weight_memory.words, 0, words - 1);
        end
        for (place = 0; place < words; place = place + 1)
            if (^engine.weight_memory.words[place] === 1'bx) fail_image("weights");

        if (!$value$plusargs("parameters_words=%d", words)) demand("parameters_words");
        if (words > PARAMETER_DEPTH) $fatal(1, "FAIL: %0d parameters, but PARAMETER_DEPTH = %0d", words, PARAMETER_DEPTH);
        if (words > 0) begin
            if (!$value$plusargs("parameters=%s", name)) demand("parameters");
            $readmemh(name, engine.parameter_memory.words, 0, words - 1);
        end
        for (place = 0; place < words; place = place + 1)
            if (^engine.parameter_memory.words[place] === 1'bx) fail_image("parameters");

        if (!$value$plusargs("tables_words=%d", words)) demand("tables_words");
        if (words > TABLE_DEPTH) $fatal(1, "FAIL: %0d table words, but TABLE_DEPTH = %0d", words, TABLE_DEPTH);
        if (words > 0) begin
            if (!$value$plusargs("tables=%s", name)) demand("tables");
            $readmemh(name, engine.table_memory.words, 0, words - 1);
        end
        for (place = 0; place < words; place = place + 1)
            if (^engine.table_memory.words[place] === 1'bx) fail_image("tables");

        if (!$value$plusargs("activations_words=%d", words)) demand("activations_words");
        if (words * LANES > ACTIVATION_DEPTH)
            $fatal(1, "FAIL: %0d rows of activations, but ACTIVATION_DEPTH = %0d words", words, ACTIVATION_DEPTH);
        if (words > 0) begin
            if (!$value$plusargs("activations=%s", name)) demand("activations");
            $readmemh(name, engine.activation_memory.rows, 0, words - 1);
        end
        for (place = 0; place < words; place = place + 1)
            if (^engine.activation_memory.rows[place] === 1'bx) fail_image("activations");

        if (!$value$plusargs("vectors=%d", vectors)) demand("vectors");
        if (!$value$plusargs("input_words=%d", input_words)) demand("input_words");
        if (!$value$plusargs("input_address=%d", input_address)) demand("input_address");
        if (!$value$plusargs("input_run=%d", input_run)) input_run = input_words;
        if (!$value$plusargs("input_stride=%d", input_stride)) input_stride = input_run;
        if (!$value$plusargs("output_words=%d", output_words)) demand("output_words");
        if (!$value$plusargs("output_address=%d", output_address)) demand("output_address");
        if (!$value$plusargs("output_run=%d", output_run)) output_run = output_words;
        if (!$value$plusargs("output_stride=%d", output_stride)) output_stride = output_run;
        if (!$value$plusargs("limit=%d", limit)) limit = 32'hFFFFFFFF;
        if (!$value$plusargs("seed=%d", first_seed)) first_seed = 1;
        if (input_words > 0) begin
            if (!$value$plusargs("inputs=%s", name)) demand("inputs");
            inputs = $fopen(name, "r");
            if (inputs == 0) $fatal(1, "FAIL: the inputs cannot be read");
        end
        checking = $value$plusargs("expected=%s", name) != 0;
        if (checking) begin
            expected = $fopen(name, "r");
            if (expected == 0) $fatal(1, "FAIL: the expected outputs cannot be read");
        end
        if ($value$plusargs("results=%s", name)) begin
            results = $fopen(name, "w");
            if (results == 0) $fatal(1, "FAIL: the file of results cannot be written");
        end
        if ($value$plusargs("trace=%s", name)) begin
            trace = $fopen(name, "w");
            if (trace == 0) $fatal(1, "FAIL: the trace cannot be written");
            tracing = 1'b1;
        end

        phase = RESET;
        pause = 4;
    end

    always @(posedge clock)
        case (phase)
            // Nearly every clock of a simulation.
            RUN: if (!done) begin
                if (!(cycles <= limit)) $fatal(1, "FAIL: vector %0d is not done after %0d cycles", vector, limit);
            end else begin
                if (done !== 1'b1 || (^cycles ^ ^mac_cycles ^ ^saturations ^ accumulator_overflow) === 1'bx)
                    $fatal(1, "FAIL: vector %0d leaves X in the status registers", vector);
                total_cycles = total_cycles + cycles;
                if (results != 0)
                    $fdisplay(results, "# %0d %0d %0d %0d %0d %0d", vector, cycles, mac_cycles, saturations, accumulator_overflow, argmax);
                begin_words(output_address);
                phase <= READ;
                if (output_words == 0) next_vector;
            end
            RESET: begin
                pause = pause - 1;
                if (pause == 0) begin
                    reset <= 1'b0;
                    vector = -1;
                    next_vector;
                end
            end
            WRITE: begin
                read_word(inputs);
                if (status != 1 || ^value === 1'bx)
                    $fatal(1, "FAIL: input word %0d of vector %0d is missing or not hexadecimal", element, vector);
                host_write_data <= value;
                host_write <= 1'b1;
                host_address <= word_address[23:0];
                advance(input_run, input_stride);
                if (element == input_words) phase <= START;
            end
            START: begin
                host_write <= 1'b0;
                seed <= first_seed + vector;
                start <= 1'b1;
                phase <= WAIT;
            end
            WAIT: begin
                start <= 1'b0;
                phase <= RUN;
            end
            READ: begin
                host_address <= word_address[23:0];
                pause = pause - 1;
                if (pause == 0) begin
                    if (results != 0) $fdisplay(results, "%h", host_read_data);
                    if (checking) begin
                        read_word(expected);
                        if (status != 1 || ^value === 1'bx)
                            $fatal(1, "FAIL: expected word %0d of vector %0d is missing or not hexadecimal", element, vector);
                    end
                    if (^host_read_data === 1'bx)
                        $fatal(1, "FAIL: vector %0d element %0d address %0d is X (%b) after %0d cycles",
                               vector, element, word_address, host_read_data, cycles);
                    if (checking && host_read_data !== value)
                        $fatal(1, "FAIL: vector %0d element %0d address %0d expected %h got %h after %0d cycles",
                               vector, element, word_address, value, host_read_data, cycles);
                    compared = compared + 1;
                    advance(output_run, output_stride);
                    host_address <= word_address[23:0];
                    if (element == output_words) next_vector;
                end
            end
            default: $fatal(1, "FAIL: the bench has lost its way");
        endcase

    // `status` is 1 if there was a word. (Verilator 5.006 loses a file's number that nothing but $fscanf reads.)
    task read_word(input integer file);
        status = $fscanf(file, "%h", value);
    endtask

    // The next vector, or the end.
    task next_vector;
        begin
            vector = vector + 1;
            begin_words(input_address);
            if (vector < vectors) phase <= input_words > 0 ? WRITE : START;
            else begin
                if (compared == 0) $fatal(1, "FAIL: no word was compared");
                if (input_words > 0) begin
                    read_word(inputs);
                    if (status == 1) $fatal(1, "FAIL: the inputs hold more than %0d vectors", vectors);
                end
                if (checking) begin
                    read_word(expected);
                    if (status == 1) $fatal(1, "FAIL: the expected outputs hold more than %0d vectors", vectors);
                end
                if (tracing) $fclose(trace);
                if (results != 0) $fclose(results);
                $display("PASS: %0d vectors, %0d words, %0d cycles", vectors, compared, total_cycles);
                $finish;
            end
        end
    endtask

    // The addresses of a vector's words, kept without a division.
    task begin_words(input integer first);
        begin
            element = 0;
            offset = 0;
            run_start = first;
            word_address = first;
            pause = READ_CLOCKS + 1;
        end
    endtask

    task advance(input integer run_words, input integer stride);
        begin
            element = element + 1;
            offset = offset + 1;
            if (offset == run_words) begin
                offset = 0;
                run_start = run_start + stride;
            end
            word_address = run_start + offset;
            pause = READ_CLOCKS;
        end
    endtask

    always @(posedge clock)
        if (tracing)
            if (busy && engine.write)
                $fdisplay(trace, "%0d %0d %0d %h", vector, cycles + 1, engine.write_address, engine.write_data);
endmodule
`default_nettype wire
