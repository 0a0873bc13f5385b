// SPDX-License-Identifier: MIT
// One byte of the wire protocol's checksum: CRC-16 with the polynomial x^16 + x^12 + x^5 + 1,
// most significant bit first.
//
//   next = the checksum of the bytes before, whose checksum is `crc`, followed by `data`; combinational
//
// A message that is followed by its own checksum (high byte first) has the checksum 0.
// Python twin: `checksum` in fixedpoint_nn/board/frames.py.
`default_nettype none
module crc16 (
    input  wire [15:0] crc,
    input  wire [7:0]  data,
    output reg  [15:0] next
);
    localparam [15:0] POLYNOMIAL = 16'h1021;
    integer place;

    always @* begin
        next = crc ^ {data, 8'd0};
        for (place = 0; place < 8; place = place + 1)
            next = next[15] ? {next[14:0], 1'b0} ^ POLYNOMIAL : {next[14:0], 1'b0};
    end
endmodule
`default_nettype wire
