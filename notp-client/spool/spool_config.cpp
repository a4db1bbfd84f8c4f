#include "notp-client/spool/spool_config.hpp"

namespace notp::spool {
namespace {

// Below the data folder.
constexpr const char* kFolder = "decisions";
constexpr const char* kOpaFolder = "opa-decisions";
constexpr const char* kOpaFile = "decisions.log";

WhenFull when_full_of(const config::Section& decisions, Durability durability) {
  const std::string name = decisions.text_or_empty("when_full");
  if (name == "refuse") return WhenFull::kRefuse;
  if (name == "drop_newest") return WhenFull::kDropNewest;
  if (name == "drop_oldest") return WhenFull::kDropOldest;
  return durability == Durability::kStrict ? WhenFull::kRefuse : WhenFull::kDropOldest;
}

}  // namespace

RecordingConfig load_recording(const config::Section& decisions,
                               const std::filesystem::path& data_dir) {
  RecordingConfig out;
  out.records = decisions.flag("record");
  out.folder = decisions.text_or_empty("folder");
  if (out.folder.empty()) out.folder = data_dir / kFolder;
  if (decisions.text("durability") == "strict") out.durability = Durability::kStrict;
  out.nd_builtin_cache = decisions.flag("nd_builtin_cache");
  out.opa_posts = decisions.text("opa_feed") == "service";
  out.opa_log_file = decisions.text_or_empty("opa_log_file");
  if (out.opa_log_file.empty()) out.opa_log_file = data_dir / kOpaFolder / kOpaFile;
  for (const auto& [name, value] : decisions.members("labels")) out.labels[name] = value;
  out.spool.spool_bytes = decisions.size("spool_bytes");
  out.spool.ring_bytes = decisions.size("ring_bytes");
  out.spool.when_full = when_full_of(decisions, out.durability);
  return out;
}

}  // namespace notp::spool
