#include "common/rego/host/content_frames.hpp"

#include "common/json/json_changes.hpp"
#include "common/limits.hpp"

namespace notp::rego {

Result<ContentFrame> content_frame(const ContentNeed& need, const ContentLoader& load,
                                   const ContentLoader* load_before) {
  NOTP_ASSIGN(const auto text, load(need.hash));
  // A stage has no answer: its id is not used.
  if (need.is_module) return ContentFrame{encode_stage_module(0, need.hash, text), text->size()};
  if (need.before && load_before != nullptr && need.format == DocumentFormat::kJson &&
      text->size() >= limits::kPatchedDocumentBytesMin) {
    const auto before = (*load_before)(*need.before);
    if (before) {
      if (auto changes = find_json_changes(**before, *text)) {
        auto shared = std::make_shared<const Bytes>(std::move(*changes));
        return ContentFrame{encode_stage_patch(0, need.hash, *need.before, std::move(shared)),
                            text->size(), /*is_patch=*/true};
      }
    }
  }
  return ContentFrame{encode_stage_document(0, need.hash, need.format, text), text->size()};
}

}  // namespace notp::rego
