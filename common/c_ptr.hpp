// Owning pointers to the objects of C libraries.
#pragma once

#include <memory>

namespace notp {

template <auto Free>
struct CallFree {
  void operator()(auto* object) const { Free(object); }
};

// CPointer<EVP_PKEY, EVP_PKEY_free>: freed by that function, which is never called for null.
template <typename T, auto Free>
using CPointer = std::unique_ptr<T, CallFree<Free>>;

}  // namespace notp
