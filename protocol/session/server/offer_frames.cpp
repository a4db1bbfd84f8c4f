#include "protocol/session/server/offer_frames.hpp"

#include "protocol/wire/frame.hpp"

namespace notp::session {

model::Content OfferFrames::get(const wire::Offer& offer, const model::Content& artifact) {
  if (!offer.is_short() || offer.offset != 0 || offer.trace || artifact->empty() ||
      artifact->size() > kArtifactBytesMax)
    return nullptr;
  for (Form& form : forms_) {
    if (form.frames && (form.stream != offer.stream || form.subscription != offer.subscription ||
                        form.base_distance != offer.base_distance))
      continue;
    if (!form.frames) {
      auto encoded = wire::try_encode_frame(offer);
      if (!encoded) return nullptr;  // who sends it by itself learns why
      encoded->append(wire::encode_chunk_header(offer.stream, artifact->size())).append(*artifact);
      form = {offer.stream, offer.subscription, offer.base_distance,
              std::make_shared<const Bytes>(*std::move(encoded))};
    }
    return form.frames;
  }
  return nullptr;
}

}  // namespace notp::session
