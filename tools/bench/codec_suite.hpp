// The suite "codec": encodes the releases of a history in this process, without registry, agents or
// controls. Used to tune the delta codec.
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

// Encodes each tag but the first as a delta on its predecessor, content only, without envelopes.
// Calls `measured` after each.
Result<void> run_codec(const std::filesystem::path& repository,
                       const std::function<void(const CodecChange&)>& measured);

std::string codec_table_head();
std::string codec_table_row(const CodecChange& change);
json::object codec_json(const CodecChange& change);

}  // namespace notp::bench
