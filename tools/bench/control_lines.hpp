// Lines between a suite and a control's server, and the server's socket.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/descriptor.hpp"
#include "common/result.hpp"

namespace notp::bench {

// Cuts what comes into lines.
class ControlLines {
 public:
  // Reads once from a descriptor and returns the lines that are whole; nullopt at its end.
  std::optional<std::vector<std::string>> read(int descriptor);

 private:
  std::string rest_;
};

// To standard output, at once.
void print_line(const std::string& line);

// On loopback; does not block.
struct ControlListener {
  static Result<ControlListener> open();

  Descriptor socket;
  uint16_t port = 0;
};

}  // namespace notp::bench
