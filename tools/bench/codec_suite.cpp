#include "tools/bench/codec_suite.hpp"

#include <fmt/format.h>

#include "tools/bench/history.hpp"
#include "tools/bench/scratch_folder.hpp"
#include "tools/notp/publish/model_folder.hpp"

namespace notp::bench {
namespace {

Result<LoadedRelease> load_release(const Checkout& checkout, const TaggedCommit& commit) {
  NOTP_TRY(checkout.go_to(commit));
  NOTP_ASSIGN(cli::FolderContent loaded, cli::read_model_folder(checkout.folder().string()));
  return LoadedRelease{{}, std::move(loaded.content)};
}

}  // namespace

Result<void> run_codec(const std::filesystem::path& repository,
                       const std::function<void(const CodecChange&)>& measured) {
  NOTP_ASSIGN(const std::vector<TaggedCommit> history, tagged_history(repository));
  NOTP_ASSIGN(const auto scratch, ScratchFolder::make());
  NOTP_ASSIGN(const Checkout checkout, Checkout::make(repository, scratch->path() / "model"));
  NOTP_ASSIGN(LoadedRelease before, load_release(checkout, history.front()));
  for (size_t i = 1; i < history.size(); ++i) {
    NOTP_ASSIGN(LoadedRelease now, load_release(checkout, history[i]));
    NOTP_ASSIGN(const CodecTimes times, measure_codec(&before, now));
    measured({history[i].tag, times});
    before = std::move(now);
  }
  return {};
}

std::string codec_table_head() {
  return fmt::format("{:<15}{:>12}{:>9}{:>12}{:>14}{:>11}{:>10}{:>10}\n", "change", "artifact",
                     "program", "content", "changed files", "encode ms", "apply ms", "control");
}

std::string codec_table_row(const CodecChange& change) {
  const CodecTimes& t = change.times;
  return fmt::format("{:<15}{:>12}{:>9}{:>12}{:>14}{:>11.1f}{:>10.1f}{:>10.1f}\n", change.tag,
                     t.artifact_bytes, t.program_bytes, t.content_bytes, t.new_bytes, t.encode_ms,
                     t.apply_ms, t.control_ms);
}

json::object codec_json(const CodecChange& change) {
  const CodecTimes& t = change.times;
  return {{"tag", change.tag},
          {"artifact_bytes", t.artifact_bytes},
          {"program_bytes", t.program_bytes},
          {"content_bytes", t.content_bytes},
          {"changed_bytes", t.new_bytes},
          {"encode_ms", t.encode_ms},
          {"apply_ms", t.apply_ms},
          {"control_ms", t.control_ms}};
}

}  // namespace notp::bench
