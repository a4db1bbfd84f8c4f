#include "tools/bench/report.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <zstd.h>

#include <array>
#include <fstream>
#include <thread>

#include "tools/bench/history.hpp"

namespace notp::bench {
namespace {

constexpr TimeMs kVersionMs = 10'000;
constexpr size_t kDayBytes = 10;  // "2026-12-01"

// The text after ':' in the first line of a file that starts with `key`.
std::string fact_in(const char* file, std::string_view key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(key)) {
      const size_t start = line.find_first_not_of(" \t", line.find(':') + 1);
      return start == line.npos ? std::string() : line.substr(start);
    }
  return {};
}

json::object machine_json() {
  std::array<double, 3> load{};
  ::getloadavg(load.data(), static_cast<int>(load.size()));
  return {{"cores", std::thread::hardware_concurrency()},
          {"processor", fact_in("/proc/cpuinfo", "model name")},
          {"memory", fact_in("/proc/meminfo", "MemTotal")},
          {"load_1min", load[0]}};
}

json::object versions_json() {
  auto git = run(git_command(".", {"--version"}), kVersionMs);
  std::string git_version = git ? git->substr(0, git->find('\n')) : "unknown";
  return {{"notp", NOTP_VERSION},
          {"git", std::move(git_version)},
          {"zstd", ZSTD_versionString()},
          {"openssl", OpenSSL_version(OPENSSL_VERSION)},
          {"build", NOTP_BUILD_TYPE}};
}

}  // namespace

std::string grouped(uint64_t value) {
  std::string text = std::to_string(value);
  for (size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, 1, ',');
  return text;
}

double ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

std::string ratio_text(double part, double whole) {
  return whole > 0 ? fmt::format("{:.3f}", part / whole) : "-";
}

void add_circumstances(json::object& report, const CorpusLabels& labels, std::string_view opa) {
  json::object versions = versions_json();
  if (!opa.empty()) versions["opa"] = opa;
  report["date"] = utc_time(read_clock().wall_ms).substr(0, kDayBytes);
  report["versions"] = std::move(versions);
  report["machine"] = machine_json();
  if (labels.seed) report["seed"] = *labels.seed;
  if (labels.scale) report["scale"] = *labels.scale;
}

std::string opa_version(const std::string& program) {
  Command command;
  command.words = {program, "version"};
  const auto printed = run(command, kVersionMs);
  return printed ? printed->substr(0, printed->find('\n')) : "unknown";
}

}  // namespace notp::bench
