// What one of each thing costs, as it was measured: the data that `notp capacity` reckons with.
// They are in coefficients.json, each with the command that measured it. Those of sessions come
// from the runs of notp-bench that are kept beside it (measured_run.hpp); others are changed there.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "common/result.hpp"

namespace notp::cli {

struct Coefficient {
  double value = 0;
  std::string unit;      // "us", "B", or empty for a plain number
  std::string of;        // what it is the cost of
  std::string measured;  // by what, and as what
};

class Coefficients {
 public:
  // kInternal: the text is not as coefficients.json is, or lacks one that estimates use.
  static Result<Coefficients> parse(std::string_view text);
  // Those that this program was built with.
  static Result<Coefficients> built_in();

  // One of kNames.
  double operator[](std::string_view name) const { return all_.find(name)->second.value; }
  const std::map<std::string, Coefficient, std::less<>>& all() const { return all_; }
  // `name` is one of kNames.
  void set(std::string_view name, double value, std::string measured);
  // As coefficients.json is written.
  std::string text() const;

  // All that estimates use.
  static constexpr std::string_view kNames[] = {"push_us",
                                                "renew_us",
                                                "connect_us",
                                                "ingest_us",
                                                "registry_bytes",
                                                "session_bytes",
                                                "push_bytes",
                                                "renew_bytes",
                                                "measured_record_bytes",
                                                "record_wire_bytes",
                                                "record_stored_bytes",
                                                "record_spooled_bytes",
                                                "spool_us",
                                                "decide_us",
                                                "agent_bytes",
                                                "model_factor",
                                                "change_factor",
                                                "registry_descriptors",
                                                "node_descriptors"};

 private:
  std::map<std::string, Coefficient, std::less<>> all_;
};

}  // namespace notp::cli
