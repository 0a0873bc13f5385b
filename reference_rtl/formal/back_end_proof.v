// SPDX-License-Identifier: MIT
// Which addresses the back end makes: of parameters (`drain`), of table words and of results (`write_back`).
//
//   parameter = base + clocks of the pixel (per_tile: of the tile) before this one
//   table     = base + code,  code < 2**out_bits,  if the base is a multiple of 2**out_bits
//   result    = base + results before this one + gap * pixels before this one
//
// With DRAIN above 1 that is the row of parameters, and the first result, of each clock.
//
// The two are used as the engine does (`loop_nest_proof`, and `settings_collide` of `control_proof`): a tile comes when
// the last one has left, a configuration when the back end is idle, and the settings are held until the next one.
// With FROM_CONFIGURE the first clock is a configuration; without, all registers begin in any state, and what held in
// every clock so far must hold in this one.
`default_nettype none
module back_end_proof #(
    // Lanes.
    parameter LANES = 4,
    // Sums that leave a tile in one clock.
    parameter DRAIN = 1,
    // Bits of an address.
    parameter ADDRESS_WIDTH = 8,
    // Begin with a configuration (1), or in any state (0).
    parameter FROM_CONFIGURE = 1,
    // Bits of a tile's channels minus one, which follow; not to be set.
    parameter CHANNEL_WIDTH = LANES > 1 ? $clog2(LANES) : 1
) (
    input  wire                     clock,
    input  wire                     configure,
    input  wire [4*ADDRESS_WIDTH-1:0] bases,
    input  wire                     per_tile,
    input  wire [5:0]               out_bits,
    input  wire                     table_enable,
    input  wire                     noise_enable,
    input  wire [DRAIN*32-1:0]      noise,
    input  wire                     complete,
    input  wire [CHANNEL_WIDTH-1:0] channels,
    input  wire                     pixel_end,
    // Words of a clock, minus one; of a pixel's last clock it is that of all its last clocks.
    input  wire                     in_valid,
    input  wire [CHANNEL_WIDTH-1:0] last_words,
    input  wire                     word_pixel_end,
    input  wire [DRAIN*8-1:0]       words,
    input  wire [DRAIN*8-1:0]       table_words,
    output wire                     parameter_wrong,
    output wire                     table_wrong,
    output wire                     result_wrong
);
    localparam A = ADDRESS_WIDTH;
    reg later;
    initial later = 1'b0;
    always @(posedge clock) later <= 1'b1;

    // Channels of the tile that are still to come; the words in the pipeline.
    localparam C = CHANNEL_WIDTH;
    reg [8:0] remaining;
    reg this_pixel_ends, valid_1, valid_2, valid_3, ends_1, ends_2, ends_3;
    wire configure_now = later || !FROM_CONFIGURE
        ? configure && remaining == 9'd0 && !valid_1 && !valid_2 && !valid_3 : 1'b1;
    wire complete_now = complete && !configure_now && remaining <= DRAIN;
    wire word_now = in_valid && !configure_now && !configured;
    // How many words of a run's last clock there are, minus one, kept with its settings.
    localparam [31:0] DRAIN_BUT_ONE = DRAIN - 1;
    reg [C-1:0] kept_last;
    wire [C-1:0] last_now = configure_now ? last_words & DRAIN_BUT_ONE[C-1:0] : kept_last;
    wire [DRAIN-1:0] valid_now;
    genvar place;
    generate
        for (place = 0; place < DRAIN; place = place + 1) begin : places
            assign valid_now[place] = word_now && (!word_pixel_end || place <= last_now);
        end
    endgenerate

    reg configured;
    reg [4*A-1:0] kept_bases;
    reg kept_per_tile;
    reg [5:0] kept_bits;
    wire [A-1:0] parameter_base, output_base, output_gap, table_base;
    assign {parameter_base, output_base, output_gap, table_base} = configure_now ? bases : kept_bases;
    wire per_tile_now = configure_now ? per_tile : kept_per_tile;
    wire [5:0] bits_now = configure_now ? out_bits : kept_bits;

    wire [A-1:0] parameter_address, result_address;
    wire [DRAIN*A-1:0] table_address;
    wire [DRAIN-1:0] result_valid;
    drain #(.LANES(LANES), .DRAIN(DRAIN), .WIDTH(2), .WRAP_WIDTH(0), .ADDRESS_WIDTH(A)) u_drain (
        .clock(clock), .reset(1'b0), .configure(configure_now), .parameter_base(parameter_base),
        .per_tile(per_tile_now), .modelled(1'b0),
        .complete(complete_now), .channels(channels), .pixel_end(pixel_end), .totals({LANES{2'b00}}),
        .parameter_enable(), .parameter_address(parameter_address), .out_valid(), .out_pixel_end(), .sums(), .wrapped()
    );
    write_back #(.DRAIN(DRAIN), .WIDTH(8), .ADDRESS_WIDTH(A)) u_write_back (
        .clock(clock), .reset(1'b0), .configure(configure_now), .output_base(output_base),
        .pixel_step(output_gap + {{(A-C){1'b0}}, last_now}), .clock_step(DRAIN_BUT_ONE[A-1:0]),
        .table_enable(table_enable), .table_base(table_base), .out_bits(bits_now), .noise_enable(noise_enable),
        .noise(noise),
        .in_valid(valid_now), .pixel_end(word_pixel_end), .words(words), .table_read(), .table_address(table_address),
        .table_words(table_words), .result_valid(result_valid), .result_address(result_address), .results()
    );

    // The specified addresses.
    reg [A-1:0] channel, expected;
    wire [A-1:0] step = ends_3 ? output_gap + last_now + 1'b1 : DRAIN;
    always @(posedge clock) begin
        configured <= configure_now;
        kept_bases <= {parameter_base, output_base, output_gap, table_base};
        kept_per_tile <= per_tile_now;
        kept_bits <= bits_now;
        kept_last <= last_now;
        {valid_1, valid_2, valid_3} <= {word_now, valid_1, valid_2};
        {ends_1, ends_2, ends_3} <= {word_pixel_end, ends_1, ends_2};
        if (remaining != 9'd0) begin
            remaining <= remaining > DRAIN ? remaining - DRAIN : 9'd0;
            channel <= remaining <= DRAIN && (this_pixel_ends || per_tile_now) ? {A{1'b0}} : channel + 1'b1;
        end
        if (complete_now) begin
            remaining <= {1'b0, channels} + 9'd1;
            this_pixel_ends <= pixel_end;
        end
        if (valid_3) expected <= expected + step;
        if (configure_now) begin
            remaining <= 9'd0;
            {valid_1, valid_2, valid_3} <= 3'b0;
            channel <= {A{1'b0}};
            expected <= output_base;
        end
    end

    // Relations between the registers of module and specification; yosys merges these names when it flattens.
    (* hierconn *) wire         \u_drain.draining , \u_drain.last_tile ;
    (* hierconn *) wire [C-1:0] \u_drain.left ;
    (* hierconn *) wire [DRAIN-1:0] \u_write_back.valid_1 , \u_write_back.valid_2 ;
    (* hierconn *) wire         \u_write_back.pixel_end_1 ,
        \u_write_back.pixel_end_2 ;
    (* hierconn *) wire         \u_write_back.starting ;
    (* hierconn *) wire [A-1:0] \u_write_back.next_address ;
    (* hierconn *) wire [A-1:0] \u_write_back.mask ;
    wire drain_wrong = \u_drain.draining != (remaining != 9'd0) ||
        parameter_address != parameter_base + channel && !configure_now ||
        remaining != 9'd0 && ( \u_drain.left != remaining - 9'd1 || \u_drain.last_tile != this_pixel_ends);
    wire [A-1:0] next = expected + (valid_3 ? step : {A{1'b0}});
    wire back_wrong =
        { \u_write_back.valid_1 [0], \u_write_back.valid_2 [0], result_valid[0]} != {valid_1, valid_2, valid_3} ||
        valid_1 && \u_write_back.pixel_end_1 != ends_1 || valid_2 && \u_write_back.pixel_end_2 != ends_2 ||
        \u_write_back.starting != configured || configured && (valid_1 || valid_2 || valid_3) ||
        !configure_now && (configured ? \u_write_back.next_address != 0 || expected != output_base
                                      : \u_write_back.next_address != next) ||
        valid_3 && result_address != expected;
    wire mask_wrong = !configure_now && \u_write_back.mask != ~({A{1'b1}} << kept_bits);
    // The initial values of registers, which they lose where yosys merges their names.
    wire fresh = ! \u_drain.draining && ~| \u_write_back.valid_1 && ~| \u_write_back.valid_2 && ~|result_valid &&
        ! \u_write_back.starting ;
    reg trusted;
    initial trusted = 1'b1;
    always @(posedge clock)
        trusted <= trusted && (FROM_CONFIGURE ? later || fresh : !(drain_wrong || back_wrong || mask_wrong));

    // A table's base is a multiple of its size, its size that of an address at most, and its end is in the memory.
    wire [32:0] size = 33'd1 << bits_now;
    wire [32:0] end_of_table = {{(33-A){1'b0}}, table_base} + size;
    wire base_legal = bits_now <= A && ({{(33-A){1'b0}}, table_base} & (size - 33'd1)) == 0 &&
        end_of_table <= (33'd1 << A);
    wire [DRAIN-1:0] outside;
    generate
        for (place = 0; place < DRAIN; place = place + 1) begin : tables
            wire [A-1:0] looked_up = table_address[place*A +: A];
            assign outside[place] = looked_up < table_base || {{(33-A){1'b0}}, looked_up} >= end_of_table;
        end
    endgenerate

    assign parameter_wrong = later && trusted && drain_wrong;
    assign result_wrong = later && trusted && back_wrong;
    assign table_wrong = later && trusted && (mask_wrong || base_legal && word_now && |outside);
endmodule
`default_nettype wire
