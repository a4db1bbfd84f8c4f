// The suite "codec": artifacts of a history's releases in this process, without registry, agents or
// controls. What the delta codec is tuned with.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "common/json/json.hpp"
#include "tools/bench/codec_times.hpp"

namespace notp::bench {

struct CodecChange {
  std::string tag;
  CodecTimes times;
};

// Each tag but the first as a delta on the one before. There are no envelopes: content alone.
// `measured` is called after each.
Result<void> run_codec(const std::filesystem::path& repository,
                       const std::function<void(const CodecChange&)>& measured);

std::string codec_table_head();
std::string codec_table_row(const CodecChange& change);
json::object codec_json(const CodecChange& change);

}  // namespace notp::bench
