// SPDX-License-Identifier: MIT
// The handshakes of AXI4-Lite, for registers that are written and read in one clock.
//
// A write happens in the clock of `write`, a read in that of `read`; the response follows one clock later. `refused`
// makes it SLVERR instead of OKAY. No output depends on an input of the same clock, except those to the registers.
// After a reset of any length all channels are empty; `awready`, `wready` and `arready` are low during a reset.
// Latency: a write 2 clocks from its later half to the response, a read 2 from its address; one of each per 2 clocks.
// Python twin: an array.
`default_nettype none
module axi_lite_port (
    input  wire        clock,
    input  wire        reset_n,

    // AXI4-Lite
    input  wire [7:0]  awaddr,
    input  wire [2:0]  awprot,
    input  wire        awvalid,
    output wire        awready,
    input  wire [31:0] wdata,
    input  wire [3:0]  wstrb,
    input  wire        wvalid,
    output wire        wready,
    output wire [1:0]  bresp,
    output reg         bvalid,
    input  wire        bready,
    input  wire [7:0]  araddr,
    input  wire [2:0]  arprot,
    input  wire        arvalid,
    output wire        arready,
    output reg  [31:0] rdata,
    output wire [1:0]  rresp,
    output reg         rvalid,
    input  wire        rready,

    // Registers. `*_hold` delays a pending access.
    output wire        write,
    output reg  [7:0]  write_address,
    output reg  [2:0]  write_prot,
    output reg  [31:0] write_data,
    output reg  [3:0]  write_strobe,
    input  wire        write_hold,
    input  wire        write_refused,
    output wire        read_pending,
    output wire        read,
    output reg  [7:0]  read_address,
    output reg  [2:0]  read_prot,
    input  wire        read_hold,
    input  wire        read_refused,
    input  wire [31:0] read_data
);
    // OKAY, or SLVERR for what is refused.
    reg write_error, read_error;
    assign bresp = {write_error, 1'b0};
    assign rresp = {read_error, 1'b0};

    // `open` is low in a reset; what is `held` waits for its other half, for a free response, or for the registers.
    reg open, address_held, data_held, read_held;
    assign awready = open && !address_held;
    assign wready = open && !data_held;
    assign arready = open && !read_held;

    assign write = address_held && data_held && (!bvalid || bready) && !write_hold;
    assign read_pending = read_held && (!rvalid || rready);
    assign read = read_pending && !read_hold;

    always @(posedge clock) begin
        open <= 1'b1;
        if (bready) bvalid <= 1'b0;
        if (rready) rvalid <= 1'b0;
        if (awvalid && awready) begin
            address_held <= 1'b1;
            write_address <= {awaddr[7:2], 2'b00};
            write_prot <= awprot;
        end
        if (wvalid && wready) begin
            data_held <= 1'b1;
            write_data <= wdata;
            write_strobe <= wstrb;
        end
        if (write) begin
            address_held <= 1'b0;
            data_held <= 1'b0;
            bvalid <= 1'b1;
            write_error <= write_refused;
        end
        if (arvalid && arready) begin
            read_held <= 1'b1;
            read_address <= {araddr[7:2], 2'b00};
            read_prot <= arprot;
        end
        if (read) begin
            read_held <= 1'b0;
            rvalid <= 1'b1;
            read_error <= read_refused;
            rdata <= read_refused ? 32'd0 : read_data;
        end
        if (!reset_n) begin
            open <= 1'b0;
            address_held <= 1'b0;
            data_held <= 1'b0;
            read_held <= 1'b0;
            bvalid <= 1'b0;
            rvalid <= 1'b0;
        end
    end

    // The lowest two bits of an address are ignored.
    wire unused_low_bits = &{awaddr[1:0], araddr[1:0]};
endmodule
`default_nettype wire
