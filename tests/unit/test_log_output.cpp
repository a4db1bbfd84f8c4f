// Lines of a log reach a reader that takes them; one that does not holds nobody up.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <array>
#include <csignal>
#include <sstream>
#include <thread>

#include "common/descriptor.hpp"
#include "common/log_output.hpp"

namespace notp::log {
namespace {

struct Ends {
  Descriptor written, read;
};

Ends pipe_ends() {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  return {Descriptor(ends[1]), Descriptor(ends[0])};
}

Ends socket_ends() {
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0);
  return {Descriptor(ends[1]), Descriptor(ends[0])};
}

constexpr int kEndMs = 60'000;  // the reader may be slow

std::string loss_line(uint64_t lines) { return fmt::format("lost {}\n", lines); }

std::string numbered(uint64_t number) {
  return fmt::format("line {} {}\n", number, std::string(200 + number % 7'000, 'x'));
}

// Reads to the end, and checks that the lines are whole and in order. Returns how many came, and
// counts those that were said to be lost.
uint64_t read_lines(int fd, uint64_t& lost) {
  std::string text;
  std::array<char, 65536> buffer{};
  for (ssize_t count = 0; (count = ::read(fd, buffer.data(), buffer.size())) > 0;)
    text.append(buffer.data(), static_cast<size_t>(count));
  std::istringstream in(text);
  uint64_t came = 0, next = 0;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("lost ")) {
      const uint64_t missing = std::stoull(line.substr(5));
      lost += missing;
      next += missing;
      continue;
    }
    CHECK(line + '\n' == numbered(next));
    ++next;
    ++came;
  }
  return came;
}

TEST_CASE("log output: what nobody reads waits, then is dropped, and the gap says how much") {
  for (const auto& make : {pipe_ends, socket_ends}) {
    Ends ends = make();
    constexpr uint64_t kLines = 2'000;  // several times what may wait
    uint64_t lost = 0, came = 0, dropped = 0;
    std::thread reader;
    {
      LogOutput output(ends.written.get(), loss_line, kEndMs);
      for (uint64_t i = 0; i < kLines; ++i) output.write(numbered(i));
      dropped = output.dropped();
      CHECK(dropped > kLines / 4);
      CHECK(dropped < kLines);
      reader = std::thread([&] { came = read_lines(ends.read.get(), lost); });
    }
    ends.written.close();
    reader.join();
    CHECK(lost == dropped);
    CHECK(came + lost == kLines);
  }
}

TEST_CASE("log output: a slow reader gets everything, also what was written last") {
  for (const auto& make : {pipe_ends, socket_ends}) {
    Ends ends = make();
    constexpr uint64_t kLines = 200;  // more than the kernel holds, less than may wait
    uint64_t lost = 0, came = 0;
    std::thread reader;
    {
      LogOutput output(ends.written.get(), loss_line, kEndMs);
      for (uint64_t i = 0; i < kLines; ++i) output.write(numbered(i));
      reader = std::thread([&] { came = read_lines(ends.read.get(), lost); });
    }
    ends.written.close();
    reader.join();
    CHECK(came == kLines);
    CHECK(lost == 0);
  }
}

TEST_CASE("log output: lines for a reader that is gone are counted") {
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  for (const auto& make : {pipe_ends, socket_ends}) {
    Ends ends = make();
    LogOutput output(ends.written.get(), loss_line, kEndMs);
    output.write(numbered(0));
    ends.read.close();
    output.write(numbered(1));
    output.write(numbered(2));
    CHECK(output.dropped() == 2);
  }
  std::signal(SIGPIPE, before);
}

}  // namespace
}  // namespace notp::log
