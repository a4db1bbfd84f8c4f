#include "tools/bench/codec_times.hpp"

#include <algorithm>
#include <chrono>
#include <functional>
#include <set>

#include "protocol/delta/artifact.hpp"
#include "protocol/delta/section.hpp"

namespace notp::bench {
namespace {

using std::chrono::steady_clock;

constexpr int kRunsMax = 5;
constexpr double kEnoughMs = 1'000;  // no further run after this time

Result<double> best_of(const std::function<Result<void>()>& work) {
  double best = 0, total = 0;
  for (int run = 0; run < kRunsMax && total < kEnoughMs; ++run) {
    const auto start = steady_clock::now();
    NOTP_TRY(work());
    const double ms =
        std::chrono::duration<double, std::milli>(steady_clock::now() - start).count();
    best = run == 0 ? ms : std::min(best, ms);
    total += ms;
  }
  return best;
}

delta::ReleaseContent view_of(const LoadedRelease& release) {
  return {release.envelope, release.content.tree.get(), release.content.loader()};
}

uint64_t bytes_not_in(const model::Tree* base, const model::Tree& target) {
  std::set<Hash> known;
  if (base)
    for (const auto& [path, file] : base->files()) known.insert(file.hash);
  uint64_t bytes = 0;
  for (const auto& [path, file] : target.files())
    if (known.insert(file.hash).second) bytes += file.bytes;
  return bytes;
}

Result<void> take_apart(ByteView artifact, CodecTimes& times) {
  artifact.remove_prefix(1);
  while (!artifact.empty()) {
    const size_t before = artifact.size();
    NOTP_ASSIGN(const delta::Section section, delta::take_section(artifact));
    const uint64_t bytes = before - artifact.size();
    if (section.kind == delta::SectionKind::kEnvelope)
      times.envelope_bytes += bytes;
    else if (section.kind == delta::SectionKind::kProgram)
      times.program_bytes += bytes;
    else
      times.content_bytes += bytes;
  }
  return {};
}

}  // namespace

Result<CodecTimes> measure_codec(const LoadedRelease* base, const LoadedRelease& target) {
  const model::Tree& tree = *target.content.tree;
  const delta::ReleaseContent to = view_of(target);
  const delta::ReleaseContent from = base ? view_of(*base) : delta::ReleaseContent{};
  const delta::ReleaseContent* const from_or_none = base ? &from : nullptr;
  CodecTimes times;
  times.new_bytes = bytes_not_in(base ? base->content.tree.get() : nullptr, tree);

  Bytes artifact;
  NOTP_ASSIGN(times.encode_ms, best_of([&]() -> Result<void> {
                NOTP_ASSIGN(artifact, delta::encode_artifact(from_or_none, to));
                return {};
              }));
  times.artifact_bytes = artifact.size();
  NOTP_TRY(take_apart(artifact, times));
  NOTP_ASSIGN(times.apply_ms, best_of([&]() -> Result<void> {
                NOTP_ASSIGN(const delta::AppliedArtifact applied,
                            delta::apply_artifact(artifact, from_or_none,
                                                  {tree.total_bytes(), tree.files().size()}));
                if (applied.tree->content_root() == tree.content_root()) return {};
                return fail(ErrorCode::kContentRoot, "the codec did not give the target back");
              }));
  const Bytes changed(times.new_bytes, 'x');
  NOTP_ASSIGN(times.control_ms, best_of([&]() -> Result<void> {
                const Bytes copy = changed;
                if (!sha256(copy).is_zero()) return {};
                return fail(ErrorCode::kInternal, "SHA-256 of zeros only");
              }));
  return times;
}

}  // namespace notp::bench
