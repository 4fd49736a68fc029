// Packing: operands of a matrix product copied into the order of the kernel, in words (gemm_elements.h).
// Internal to tensor/ops/gemm*.
//
// Both forms are made of squares of 16 x 16 words (fewer where vectors are short), read along the operand's
// contiguous index and turned over where the kernel wants the other one.
#pragma once

#include <algorithm>
#include <cstring>
#include <utility>

#include "tensor/ops/gemm.h"
#include "tensor/ops/gemm_kernel.h"

namespace dlcm::cpu {

template <class E>
inline constexpr int64_t kSquare = std::min<int64_t>(16, kKernelColumns<E>);

template <class Word, int64_t kSize>
struct Square {
  alignas(64) Word words[kSize][kSize];

  void transpose() {
    for (int64_t i = 0; i < kSize; ++i) {
      for (int64_t j = 0; j < i; ++j) std::swap(words[i][j], words[j][i]);
    }
  }
};
template <class E>
using SquareOf = Square<typename E::Word, kSquare<E>>;

#if defined(__AVX512F__)
// A square of 32-bit words whose lines are vectors; they are only moved.
template <class Word>
void transpose_in_registers(Word (&words)[16][16]) {
  detail::Simd<float>::Vector rows[16];
  std::memcpy(rows, words, sizeof(rows));
  transpose_square<float>(rows);
  std::memcpy(words, rows, sizeof(rows));
}
template <>
inline void Square<float, 16>::transpose() {
  transpose_in_registers(words);
}
template <>
inline void Square<uint32_t, 16>::transpose() {
  transpose_in_registers(words);
}
#endif

inline bool along_k(const GemmOperand& operand) {
  return operand.order == GemmOrder::along_k;
}

// Where an operand's square comes from: `count` vectors from `first` on, `elements` of k from `k` on.
struct Region {
  int64_t first, count;
  int64_t k, elements;
};

// Fills words[vector][k] where k is contiguous, words[k][vector] otherwise; what lies outside the region is
// 0.
template <class E, class S>
void load_square(const GemmOperand& operand, const Region& region, SquareOf<E>& square) {
  const S* data = static_cast<const S*>(operand.data);
  const int64_t words = ceil_div(region.elements, E::kPerWord);
  const int64_t lines = along_k(operand) ? region.count : words;
  const int64_t used = along_k(operand) ? words : region.count;
  for (int64_t line = 0; line < kSquare<E>; ++line) {
    typename E::Word* to = square.words[line];
    if (line >= lines || used < kSquare<E>) std::fill_n(to, kSquare<E>, typename E::Word{0});
    if (line >= lines) continue;
    if (along_k(operand)) {
      E::along(data + (region.first + line) * operand.stride + region.k, region.elements, to);
    } else {
      const int64_t k = line * E::kPerWord;
      const S* from = data + (region.k + k) * operand.stride + region.first;
      // The next square's line: rows that are far apart are not fetched ahead by the processor itself.
      __builtin_prefetch(from + kSquare<E> * E::kPerWord * operand.stride);
      if (E::kPerWord > 1) __builtin_prefetch(from + (kSquare<E> * E::kPerWord + 1) * operand.stride);
      E::across(from, k + 1 < region.elements ? from + operand.stride : nullptr, region.count, to);
    }
  }
}

// Packs `count` vectors from `first` on and `elements` of k from `k` on, vectors one by one if `by_vector`:
// to[vector][k] with `stride` words between vectors, else to[k][vector] with `stride` between words of k.
// What lies between the region and the next multiple of a square is 0.
template <class E, class S>
void pack(const GemmOperand& operand, const Region& region, bool by_vector, typename E::Word* to,
          int64_t stride) {
  constexpr int64_t kElements = kSquare<E> * E::kPerWord;
  SquareOf<E> square;
  const auto pack_square = [&](int64_t i, int64_t k) {
    load_square<E, S>(operand,
                      {region.first + i, std::min(kSquare<E>, region.count - i), region.k + k,
                       std::min(kElements, region.elements - k)},
                      square);
    if (along_k(operand) != by_vector) square.transpose();
    const int64_t word = k / E::kPerWord;
    const int64_t lines = by_vector ? std::min(kSquare<E>, region.count - i) : kSquare<E>;
    for (int64_t line = 0; line < lines; ++line) {
      typename E::Word* target =
          by_vector ? to + (i + line) * stride + word : to + (word + line) * stride + i;
      std::copy_n(square.words[line], kSquare<E>, target);
    }
  };
  // In the order in which the operand lies in memory.
  if (along_k(operand)) {
    for (int64_t i = 0; i < region.count; i += kSquare<E>) {
      for (int64_t k = 0; k < region.elements; k += kElements) pack_square(i, k);
    }
  } else {
    for (int64_t k = 0; k < region.elements; k += kElements) {
      for (int64_t i = 0; i < region.count; i += kSquare<E>) pack_square(i, k);
    }
  }
}

// Rows of A: to[row][kRowStride].
template <class E, class S>
void pack_rows(const GemmOperand& a, const Region& rows, typename E::Word* to) {
  pack<E, S>(a, rows, true, to, kRowStride);
}

// A panel of columns of B: to[word of k][kKernelColumns].
template <class E, class S>
void pack_columns(const GemmOperand& b, const Region& columns, typename E::Word* to) {
  static_assert(kKernelColumns<E> % kSquare<E> == 0);
  pack<E, S>(b, columns, false, to, kKernelColumns<E>);
  const int64_t words = round_up(ceil_div(columns.elements, E::kPerWord), kSquare<E>);
  const int64_t filled = round_up(columns.count, kSquare<E>);
  for (int64_t word = 0; word < words && filled < kKernelColumns<E>; ++word) {
    std::fill_n(to + word * kKernelColumns<E> + filled, kKernelColumns<E> - filled, typename E::Word{0});
  }
}

}  // namespace dlcm::cpu
