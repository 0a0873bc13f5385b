// SPDX-License-Identifier: MIT
// Runs one network on the engine: loads the memory images, and for every vector writes the input, starts the engine,
// and compares the output.
//
// Plusargs. Files are read by $readmemh or as hexadecimal words, one per line; counts are mandatory, so that a short
// file is detected:
//   +program=F +program_words=N   +weights=F +weights_words=N   +parameters=F +parameters_words=N
//   +tables=F +tables_words=N     +activations=F +activations_words=N  (rows)      an image of 0 words needs no file
//   +inputs=F    words of all vectors         +input_address=A +input_words=N [+input_run=R +input_stride=S]
//   +expected=F  words of all vectors         +output_address=A +output_words=N [+output_run=R +output_stride=S]
//   +vectors=N   [+seed=N]  seed of the noise generator, plus one for every further vector
//   [+limit=N]   clocks after which a vector counts as hung
//   [+status=F]  5 words of each vector, compared as well:
//                cycles, mac_cycles, saturations, accumulator_overflow, argmax
//   [+load=port] the images go through the engine's ports, as a board's host loads them, not straight into the
//                memories; +load=reversed: those of the load port in the other order
//   [+disturb=1] the host writes to every memory while the engine is busy, and its ports show other addresses and data
//                whenever they are not used, all of which must change nothing
//   [+interrupt=N] every vector is first run for some clocks (N and more), ended by reset, written again, ended by
//                reset before its first result is written, and run from the very next clock on
//   [+second_input=A +half=H] the input of the next vector is written while this one is computed, every second one to
//                A, and before each start the word at H becomes 0 or 1, for the place of its input; says how many words
//                a busy engine took (with HOST_WRITES), and in how many clocks all was done; without +interrupt, and
//                with +disturb=1 the host writes nothing else to the activations of a busy engine
//   [+results=F] writes every output word, and after each vector a line
//                "# vector cycles mac_cycles saturations accumulator_overflow argmax stalls"
//   [+trace=F]   writes "vector cycle address data" for every word that the engine writes
//   [+live=1]    the trace holds the words of the output only, and each is in the file as soon as it is written
//   [+vcd=F]     waveforms
//   those of tb/weight_source.v, if weights come from outside
// Words of a vector go to consecutive addresses, in runs of R words whose starts are S apart.
// With CLOCK_PORT defined the clock comes from outside (tb/engine_tb.cpp): Verilator then needs no scheduler of delays.
// Without +expected the output is only checked for X. Ends with "PASS: N vectors, W words, C cycles", or with
// "FAIL: ..." and a non-zero exit status at the first word that differs.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
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
    parameter DRAIN = 1;
    parameter WORDS = 1;
    parameter PACK = 1;
    parameter ACTIVATION_WIDTH = 16;
    parameter WEIGHT_WIDTH = 16;
    parameter ACCUMULATOR_WIDTH = 48;
    parameter BIAS_WIDTH = 32;
    parameter MULTIPLIER_WIDTH = 0;
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
    parameter WEIGHT_WINDOW = 0;
    parameter HOST_WRITES = 0;

    // Memories that are kept in copies or banks are loaded through the ports.
    localparam COPIES = DRAIN > 1 || WORDS > 1 || LANES > 64;
    localparam NAME_BITS = 8 * 1024;
    // The latency from a change of address until its word is read.
    localparam READ_CLOCKS = 3;
    // The state of the bench; all signals that it drives change with the clock, as those of the engine do.
    localparam [3:0] RESET = 4'd0, WRITE = 4'd1, START = 4'd2, WAIT = 4'd3, RUN = 4'd4, READ = 4'd5, LOAD = 4'd6,
        STOP = 4'd7, FILL = 4'd8, HALF = 4'd9;
    // Clocks before a start in which a disturbing host does not use its ports.
    localparam HOST_IDLE_CLOCKS = 64;
    localparam ROW_WIDTH = DRAIN * (MULTIPLIER_WIDTH + 6 + BIAS_WIDTH);
    localparam PARAMETER_WIDTH = ROW_WIDTH > 32 ? ROW_WIDTH : 32;
    localparam LOAD_WIDTH = LANES * WEIGHT_WIDTH > PARAMETER_WIDTH ? LANES * WEIGHT_WIDTH : PARAMETER_WIDTH;

    reg reset = 1'b1;
    reg start = 1'b0;
    reg host_write = 1'b0;
    reg [31:0] seed = 32'd1;
    reg [23:0] host_address = 24'd0;
    reg signed [ACTIVATION_WIDTH-1:0] host_write_data = 0;
    reg load_enable = 1'b0;
    reg [1:0] load_memory = 2'd0;
    reg [23:0] load_address = 24'd0;
    reg [LOAD_WIDTH-1:0] load_data = 0;
    wire busy, done, accumulator_overflow, host_turn;
    wire signed [ACTIVATION_WIDTH-1:0] host_read_data;
    wire [31:0] cycles, mac_cycles, saturations, argmax, stalls;
    wire weight_valid, weight_ready;
    wire [LANES*WEIGHT_WIDTH-1:0] weight_row;

    // A host that disturbs.
    reg disturb = 1'b0;
    reg reading = 1'b0;
    wire disturbing = disturb && busy;
    wire host_idle = disturb && !host_write && !reading;
    reg [31:0] noise = 32'd1;
    always @(posedge clock) if (disturb) noise <= {noise[30:0], noise[31] ^ noise[21] ^ noise[1] ^ noise[0]};

    engine #(
        .LANES(LANES), .DRAIN(DRAIN), .WORDS(WORDS), .PACK(PACK),
        .ACTIVATION_WIDTH(ACTIVATION_WIDTH), .WEIGHT_WIDTH(WEIGHT_WIDTH),
        .ACCUMULATOR_WIDTH(ACCUMULATOR_WIDTH), .BIAS_WIDTH(BIAS_WIDTH), .MULTIPLIER_WIDTH(MULTIPLIER_WIDTH),
        .MODEL_WIDTH(MODEL_WIDTH), .MODEL_SATURATE(MODEL_SATURATE),
        .PRODUCT_BITS(PRODUCT_BITS), .PRODUCT_SHIFT(PRODUCT_SHIFT), .PRODUCT_SIGNED(PRODUCT_SIGNED),
        .PRODUCT_ROUNDING(PRODUCT_ROUNDING), .PRODUCT_OVERFLOW(PRODUCT_OVERFLOW),
        .ACTIVATION_DEPTH(ACTIVATION_DEPTH), .WEIGHT_DEPTH(WEIGHT_DEPTH), .PARAMETER_DEPTH(PARAMETER_DEPTH),
        .TABLE_DEPTH(TABLE_DEPTH), .PROGRAM_DEPTH(PROGRAM_DEPTH), .WEIGHT_WINDOW(WEIGHT_WINDOW),
        .HOST_WRITES(HOST_WRITES)
    ) u_engine (
        .clock(clock), .reset(reset), .start(start), .seed(seed), .busy(busy), .done(done),
        .host_write(host_write || disturbing && !ahead), .host_address(host_idle ? noise[23:0] : host_address),
        .host_write_data(disturb && !host_write ? noise[ACTIVATION_WIDTH-1:0] : host_write_data),
        .host_read_data(host_read_data), .host_turn(host_turn),
        .load_enable(load_enable || disturbing), .load_memory(disturb && !load_enable ? noise[1:0] : load_memory),
        .load_address(disturb && !load_enable ? noise[31:8] : load_address),
        .load_data(disturb && !load_enable ? {LOAD_WIDTH{noise[3]}} ^ load_data : load_data),
        .weight_valid(weight_valid), .weight_ready(weight_ready), .weight_row(weight_row),
        .cycles(cycles), .mac_cycles(mac_cycles), .saturations(saturations),
        .accumulator_overflow(accumulator_overflow), .argmax(argmax), .stalls(stalls)
    );

    generate
        if (WEIGHT_WINDOW > 0) begin : streamed
            weight_source #(.WIDTH(LANES * WEIGHT_WIDTH)) u_weight_source (
                .clock(clock), .reset(reset), .start(start), .busy(busy), .cycles(cycles), .sample(vector),
                .valid(weight_valid), .ready(weight_ready), .row(weight_row)
            );
        end else begin : resident
            assign weight_valid = 1'b0;
            assign weight_row = 0;
        end
    endgenerate

    reg [NAME_BITS-1:0] name;
    integer words, place, vector, vectors, element, status, pause;
    integer input_address, input_words, input_run, input_stride;
    integer output_address, output_words, output_run, output_stride, output_last;
    integer inputs, expected, results, trace, expected_status;
    integer compared, first_seed, interrupt, clocks;
    // Images that are loaded through the ports: their files and words, and the number of the one that is being loaded.
    integer files [0:4], counts [0:4], image, lane;
    reg through_port, backwards;
    wire [1:0] load_index = backwards ? ~image[1:0] : image[1:0];
    // 0: to be ended anywhere, 1: to be ended before its first results are written, 2: to be run to its end.
    integer attempt;
    reg [LANES*ACTIVATION_WIDTH-1:0] row;
    reg [LOAD_WIDTH-1:0] wide;
    reg [31:0] status_due [0:4];
    reg signed [ACTIVATION_WIDTH-1:0] held [0:ACTIVATION_DEPTH-1];
    reg [31:0] total_cycles;
    reg signed [ACTIVATION_WIDTH-1:0] value;
    reg checking, tracing, live;
    reg [31:0] limit;
    reg [3:0] phase;
    // Input that is written ahead: the words begun, their places, and those that a busy engine has taken.
    integer second_input, half, filled, fill_offset, fill_start, fill_address, written_ahead, since, ended;
    reg ahead = 1'b0;
    always @(posedge clock) if (start || since > 0) since <= since + 1;

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

        if (!$value$plusargs("load=%s", name)) name = 0;
        backwards = name == "reversed";
        through_port = name == "port" || backwards || COPIES;
        if (!$value$plusargs("disturb=%b", disturb)) disturb = 1'b0;
        if (!$value$plusargs("interrupt=%d", interrupt)) interrupt = 0;
        for (image = 0; image < 5; image = image + 1) files[image] = 0;

        if (!$value$plusargs("program_words=%d", words)) demand("program_words");
        if (words > PROGRAM_DEPTH) $fatal(1, "FAIL: %0d program words, but PROGRAM_DEPTH = %0d", words, PROGRAM_DEPTH);
        if (!$value$plusargs("program=%s", name)) demand("program");
        if (through_port) files[0] = $fopen(name, "r");
        else $readmemh(name, u_engine.u_program_memory.words, 0, words - 1);
        counts[0] = words;
        for (place = 0; place < words && !through_port; place = place + 1)
            if (^u_engine.u_program_memory.words[place] === 1'bx) fail_image("program");

        if (!$value$plusargs("weights_words=%d", words)) demand("weights_words");
        if (words > WEIGHT_DEPTH) $fatal(1, "FAIL: %0d rows of weights, but WEIGHT_DEPTH = %0d", words, WEIGHT_DEPTH);
        if (words > 0) begin
            if (!$value$plusargs("weights=%s", name)) demand("weights");
            if (through_port) files[1] = $fopen(name, "r");
            else $readmemh(name, u_engine.u_weight_memory.words, 0, words - 1);
        end
        counts[1] = words;
        for (place = 0; place < words && !through_port; place = place + 1)
            if (^u_engine.u_weight_memory.words[place] === 1'bx) fail_image("weights");

        if (!$value$plusargs("parameters_words=%d", words)) demand("parameters_words");
        if (words > PARAMETER_DEPTH)
            $fatal(1, "FAIL: %0d parameters, but PARAMETER_DEPTH = %0d", words, PARAMETER_DEPTH);
        if (words > 0) begin
            if (!$value$plusargs("parameters=%s", name)) demand("parameters");
            if (through_port) files[2] = $fopen(name, "r");
            else $readmemh(name, u_engine.u_parameter_memory.words, 0, words - 1);
        end
        counts[2] = words;
        for (place = 0; place < words && !through_port; place = place + 1)
            if (^u_engine.u_parameter_memory.words[place] === 1'bx) fail_image("parameters");

        if (!$value$plusargs("tables_words=%d", words)) demand("tables_words");
        if (words > TABLE_DEPTH) $fatal(1, "FAIL: %0d table words, but TABLE_DEPTH = %0d", words, TABLE_DEPTH);
        if (words > 0) begin
            if (!$value$plusargs("tables=%s", name)) demand("tables");
            if (through_port) files[3] = $fopen(name, "r");
            else $readmemh(name, u_engine.tables[0].u_table_memory.words, 0, words - 1);
        end
        counts[3] = words;
        for (place = 0; place < words && !through_port; place = place + 1)
            if (^u_engine.tables[0].u_table_memory.words[place] === 1'bx) fail_image("tables");

        if (!$value$plusargs("activations_words=%d", words)) demand("activations_words");
        if (words * LANES > ACTIVATION_DEPTH)
            $fatal(1, "FAIL: %0d rows of activations, but ACTIVATION_DEPTH = %0d words", words, ACTIVATION_DEPTH);
        if (words > 0) begin
            if (!$value$plusargs("activations=%s", name)) demand("activations");
            if (through_port) files[4] = $fopen(name, "r");
            else $readmemh(name, u_engine.u_activation_memory.banks[0].rows, 0, words - 1);
        end
        counts[4] = words;
        for (place = 0; place < words && !through_port; place = place + 1)
            if (^u_engine.u_activation_memory.banks[0].rows[place] === 1'bx) fail_image("activations");

        if (!$value$plusargs("vectors=%d", vectors)) demand("vectors");
        if (!$value$plusargs("input_words=%d", input_words)) demand("input_words");
        if (!$value$plusargs("input_address=%d", input_address)) demand("input_address");
        ahead = $value$plusargs("second_input=%d", second_input) != 0;
        if (ahead && !$value$plusargs("half=%d", half)) demand("half");
        if (ahead && interrupt != 0) $fatal(1, "FAIL: +second_input and +interrupt do not go together");
        written_ahead = 0;
        since = 0;
        if (!$value$plusargs("input_run=%d", input_run)) input_run = input_words;
        if (!$value$plusargs("input_stride=%d", input_stride)) input_stride = input_run;
        if (!$value$plusargs("output_words=%d", output_words)) demand("output_words");
        if (!$value$plusargs("output_address=%d", output_address)) demand("output_address");
        if (!$value$plusargs("output_run=%d", output_run)) output_run = output_words;
        if (!$value$plusargs("output_stride=%d", output_stride)) output_stride = output_run;
        output_last = output_address + (output_words - 1) / output_run * output_stride
                      + (output_words - 1) % output_run;
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
        expected_status = 0;
        if ($value$plusargs("status=%s", name)) begin
            expected_status = $fopen(name, "r");
            if (expected_status == 0) $fatal(1, "FAIL: the expected status cannot be read");
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
        if (!$value$plusargs("live=%b", live)) live = 1'b0;

        phase = RESET;
        pause = 4;
    end

    always @(posedge clock)
        case (phase)
            // This branch runs in nearly every clock of a simulation.
            RUN: if (!done) begin
                clocks = clocks + 1;
                if (clocks > limit) $fatal(1, "FAIL: vector %0d is not done after %0d cycles", vector, limit);
                if (ahead) fill(vector + 1 < vectors);
            end else begin
                if (ahead) fill(1'b0);
                ended = since;
                if (done !== 1'b1 || (^cycles ^ ^mac_cycles ^ ^saturations ^ accumulator_overflow ^ ^stalls) === 1'bx)
                    $fatal(1, "FAIL: vector %0d leaves X in the status registers", vector);
                if (expected_status != 0) compare_status;
                total_cycles = total_cycles + cycles;
                if (results != 0)
                    $fdisplay(results, "# %0d %0d %0d %0d %0d %0d %0d", vector, cycles, mac_cycles, saturations,
                              accumulator_overflow, argmax, stalls);
                begin_words(output_address);
                reading <= 1'b1;
                phase <= READ;
                if (output_words == 0) next_vector;
            end
            RESET: begin
                pause = pause - 1;
                if (pause == 0) begin
                    reset <= 1'b0;
                    vector = -1;
                    image = 0;
                    place = 0;
                    lane = 0;
                    if (through_port) phase <= LOAD;
                    else next_vector;
                end
            end
            LOAD: if (image == 5) begin
                host_write <= 1'b0;
                next_vector;
            end else if (place == counts[image < 4 ? {30'd0, load_index} : 4]) begin
                load_enable <= 1'b0;
                image = image + 1;
                place = 0;
            end else if (image < 4) begin
                read_wide(files[{30'd0, load_index}]);
                if (status != 1 || ^wide === 1'bx)
                    $fatal(1, "FAIL: word %0d of image %0d is missing or not hexadecimal", place, load_index);
                load_memory <= load_index;
                load_address <= place[23:0];
                load_data <= wide;
                load_enable <= 1'b1;
                place = place + 1;
            end else begin
                if (lane == 0) begin
                    read_row(files[4]);
                    if (status != 1 || ^row === 1'bx)
                        $fatal(1, "FAIL: row %0d of activations is missing or not hexadecimal", place);
                end
                word_address = place * LANES + lane;
                host_address <= word_address[23:0];
                host_write_data <= row[lane*ACTIVATION_WIDTH +: ACTIVATION_WIDTH];
                host_write <= 1'b1;
                lane = lane + 1;
                if (lane == LANES) begin
                    lane = 0;
                    place = place + 1;
                end
            end
            WRITE: begin
                if (attempt != 0 && interrupt != 0) value = held[element];
                else begin
                    read_word(inputs);
                    if (status != 1 || ^value === 1'bx)
                        $fatal(1, "FAIL: input word %0d of vector %0d is missing or not hexadecimal", element, vector);
                    if (interrupt != 0) held[element] = value;
                end
                host_write_data <= value;
                host_write <= 1'b1;
                host_address <= word_address[23:0];
                advance(input_run, input_stride);
                if (element == input_words) phase <= START;
            end
            FILL: if (filled == input_words && !host_write) phase <= HALF;
            else fill(1'b1);
            HALF: begin
                host_address <= half[23:0];
                host_write_data <= vector % 2;
                host_write <= 1'b1;
                phase <= START;
            end
            START: begin
                host_write <= 1'b0;
                seed <= first_seed + vector;
                pause = pause + 1;
                if (!disturb || pause > HOST_IDLE_CLOCKS) begin
                    start <= 1'b1;
                    phase <= WAIT;
                end
            end
            WAIT: begin
                start <= 1'b0;
                clocks = 0;
                if (ahead) begin_fill(vector + 1);
                pause = interrupt + 11 * vector;
                phase <= attempt == 2 ? RUN : STOP;
            end
            // Results are written 15 clocks after the first step at the earliest; the reset comes up to 14 after it.
            STOP: if (attempt == 1 && mac_cycles === 32'd0 && done === 1'b0) pause = 2 + (vector + interrupt) % 11;
            else begin
                pause = pause - 1;
                reset <= pause == 1;
                if (attempt == 1 && pause == 0) begin
                    start <= 1'b1;
                    attempt = 2;
                    phase <= WAIT;
                end else if (pause < 0) begin
                    if ({busy, done, cycles, mac_cycles, saturations, accumulator_overflow, argmax} !== 131'd0)
                        $fatal(1, "FAIL: vector %0d: reset leaves busy, done or a status register set", vector);
                    attempt = 1;
                    begin_words(input_address);
                    phase <= input_words > 0 ? WRITE : START;
                end
            end
            READ: begin
                host_address <= word_address[23:0];
                pause = pause - 1;
                if (pause == 0) begin
                    if (results != 0) $fdisplay(results, "%h", host_read_data);
                    if (checking) begin
                        read_word(expected);
                        if (status != 1 || ^value === 1'bx)
                            $fatal(1, "FAIL: expected word %0d of vector %0d is missing or not hexadecimal", element,
                                   vector);
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
                    if (element == output_words) begin
                        if (expected_status != 0) compare_status;
                        next_vector;
                    end
                end
            end
            default: $fatal(1, "FAIL: the bench is in a state that does not exist");
        endcase

    // The clock in which a vector is done, and the status registers in that clock.
    task compare_status;
        begin
            if (clocks !== status_due[0] || busy !== 1'b0)
                $fatal(1, "FAIL: vector %0d is done after %0d cycles and not after %0d", vector, clocks, status_due[0]);
            if (cycles !== status_due[0] || mac_cycles !== status_due[1] || saturations !== status_due[2]
                || {31'd0, accumulator_overflow} !== status_due[3] || argmax !== status_due[4])
                $fatal(1, "FAIL: vector %0d status expected %0d %0d %0d %0d %0d got %0d %0d %0d %0d %0d", vector,
                       status_due[0], status_due[1], status_due[2], status_due[3], status_due[4],
                       cycles, mac_cycles, saturations, accumulator_overflow, argmax);
        end
    endtask

    // `status` is 1 if there was a word. (Verilator 5.006 loses a file's number that nothing but $fscanf reads.)
    task read_word(input integer file);
        status = $fscanf(file, "%h", value);
    endtask

    task read_wide(input integer file);
        if (file == 0) status = 0;
        else status = $fscanf(file, "%h", wide);
    endtask

    task read_row(input integer file);
        if (file == 0) status = 0;
        else status = $fscanf(file, "%h", row);
    endtask

    task read_status(input integer file, input integer register);
        status = $fscanf(file, "%h", status_due[register]);
    endtask

    // The next vector, or the end.
    task next_vector;
        begin
            vector = vector + 1;
            attempt = interrupt == 0 ? 2 : 0;
            reading <= 1'b0;
            begin_words(input_address);
            if (expected_status != 0 && vector < vectors) begin
                for (place = 0; place < 5; place = place + 1) begin
                    read_status(expected_status, place);
                    if (status != 1)
                        $fatal(1, "FAIL: the expected status of vector %0d is missing or not hexadecimal", vector);
                end
                limit = status_due[0];
            end
            if (ahead && vector == 0) begin_fill(0);
            if (vector < vectors) phase <= ahead ? FILL : input_words > 0 ? WRITE : START;
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
                if (expected_status != 0) begin
                    read_status(expected_status, 0);
                    if (status == 1) $fatal(1, "FAIL: the expected status holds more than %0d vectors", vectors);
                end
                if (tracing) $fclose(trace);
                if (results != 0) $fclose(results);
                if (ahead)
                    $display("AHEAD: %0d words were written to a busy engine, %0d clocks in all", written_ahead, ended);
                $display("PASS: %0d vectors, %0d words, %0d cycles", vectors, compared, total_cycles);
                $finish;
            end
        end
    endtask

    // The input of a vector that is written ahead: its first place, and a clock of it. A word stands until it is taken.
    task begin_fill(input integer of);
        begin
            filled = 0;
            fill_offset = 0;
            fill_start = of % 2 == 0 ? input_address : second_input;
            fill_address = fill_start;
        end
    endtask

    task fill(input more);
        if (!host_write || !busy || host_turn) begin
            if (host_write && busy) written_ahead = written_ahead + 1;
            host_write <= 1'b0;
            if (more && filled < input_words) begin
                read_word(inputs);
                if (status != 1 || ^value === 1'bx)
                    $fatal(1, "FAIL: input word %0d ahead of vector %0d is missing or not hexadecimal", filled,
                           vector);
                host_address <= fill_address[23:0];
                host_write_data <= value;
                host_write <= 1'b1;
                filled = filled + 1;
                fill_offset = fill_offset + 1;
                if (fill_offset == input_run) begin
                    fill_offset = 0;
                    fill_start = fill_start + input_stride;
                end
                fill_address = fill_start + fill_offset;
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

    integer written;
    always @(posedge clock)
        if (tracing)
            if (busy && |u_engine.write)
                for (written = 0; written < DRAIN; written = written + 1)
                    if (u_engine.write[written])
                        trace_word(u_engine.write_address + written,
                                   u_engine.write_data[written*ACTIVATION_WIDTH +: ACTIVATION_WIDTH]);

    task trace_word(input integer address, input [ACTIVATION_WIDTH-1:0] data);
        if (!live || (address >= output_address && address <= output_last)) begin
            $fdisplay(trace, "%0d %0d %0d %h", vector, cycles + 1, address, data);
            if (live) $fflush(trace);
        end
    endtask
endmodule
`default_nettype wire
