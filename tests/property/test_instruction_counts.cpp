// Guards of the hot paths: instruction counts by callgrind are the same on a busy and on an idle
// machine. A failure means that a change made a path slower or faster: if intended, record the new
// count.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <optional>

#include "tests/support/process/command.hpp"

using notp::run_command;

namespace {

// The same program has the same count to the last instruction. The tolerance is for another point
// release of a library; a path that is a tenth slower exceeds it by far.
constexpr double kTolerance = 0.05;

struct Guard {
  std::string path;
  double instructions;  // of the build type Debug, as in the preset dev
};

// clang 19, libstdc++ 12, zstd 1.5.4, OpenSSL 3.0, on x86-64.
const Guard kGuards[] = {
    {"delta_encode", 16'587'748},
    {"delta_apply", 12'869'923},
    {"frame_parse", 11'194'266},
    {"content_root", 18'030'287},
};

// Where a library selects code by processor, the cost depends on the processor: the generic
// variants are the same everywhere.
const std::vector<std::pair<std::string, std::string>> kPlainProcessor = {
    {"OPENSSL_ia32cap", "0:0"},
    {"GLIBC_TUNABLES",
     "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX2,-AVX,-ERMS,-FSRM,-BMI2"}};

// The reason why counts are not comparable; nullopt when they are.
std::optional<std::string> reason_to_skip() {
  if (std::string_view(NOTP_SANITIZERS) != "")
    return "this build has sanitizers (" NOTP_SANITIZERS ")";
  if (std::string_view(NOTP_BUILD_TYPE) != "Debug")
    return "nothing is written down for the build type '" NOTP_BUILD_TYPE "'";
#if !defined(__x86_64__) || !defined(__clang__)
  return "nothing is written down for this processor and compiler";
#endif
  return std::nullopt;
}

std::string hot_paths() {
  return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "hot_paths").string();
}

// nullopt when the tool did not report a count.
std::optional<double> collected(const std::string& output) {
  const std::string_view mark = "Collected : ";
  const size_t at = output.find(mark);
  if (at == output.npos) return std::nullopt;
  return std::strtod(output.c_str() + at + mark.size(), nullptr);
}

}  // namespace

TEST_CASE("the hot paths execute as many instructions as is written down, within a twentieth") {
  if (const auto reason = reason_to_skip()) {
    MESSAGE("instruction counts are not compared: " << *reason);
    return;
  }
  for (const Guard& guard : kGuards) {
    CAPTURE(guard.path);
    const auto run = run_command(
        {"valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no",
         "--toggle-collect=notp_counted", hot_paths(), guard.path},
        kPlainProcessor);
    INFO(run.output);
    REQUIRE(run.status == 0);
    const auto instructions = collected(run.output);
    REQUIRE(instructions);
    MESSAGE(guard.path << ": " << static_cast<uint64_t>(*instructions) << " instructions, "
                       << static_cast<uint64_t>(guard.instructions) << " written down");
    CHECK(*instructions > guard.instructions * (1 - kTolerance));
    CHECK(*instructions < guard.instructions * (1 + kTolerance));
  }
}
