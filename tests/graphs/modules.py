"""Twenty networks of different kinds, small."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class Residual(nn.Module):
    def __init__(self, c, out, stride):
        super().__init__()
        self.a = nn.Conv2d(c, out, 3, stride, 1, bias=False)
        self.b = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.na, self.nb = nn.BatchNorm2d(out), nn.BatchNorm2d(out)
        self.short = nn.Sequential()
        if stride > 1 or c != out:
            self.short = nn.Sequential(
                nn.Conv2d(c, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x):
        return functional.relu(
            self.nb(self.b(functional.relu(self.na(self.a(x)), inplace=True))) + self.short(x)
        )


class Dense(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(3 + 4 * i, 4, 3, padding=1) for i in range(3))

    def forward(self, x):
        seen = [x]
        for layer in self.layers:
            seen.append(torch.relu(layer(torch.cat(seen, 1))))
        return torch.cat(seen, 1).mean((2, 3))


class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 2, 1), nn.ReLU(), nn.Conv2d(2, 8, 1), nn.Sigmoid()
        )

    def forward(self, x):
        x = functional.hardswish(self.conv(x))
        return x * self.gate(x)


class Shuffle(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.stem = nn.Conv2d(3, 8, 1)

    def forward(self, x):
        a, b = self.stem(x).chunk(2, dim=1)
        x = torch.cat([a, self.inner(b)], dim=1)
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.attend = nn.LayerNorm(8), nn.MultiheadAttention(8, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))

    def forward(self, x):
        y = self.norm(x)
        x = x + self.attend(y, y, y, need_weights=False)[0]
        return x + self.mlp(x)


class ByHand(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, 2, c // 2).permute(2, 0, 3, 1, 4).unbind(0)
        weights = ((q @ k.transpose(-2, -1)) * (c // 2) ** -0.5).softmax(dim=-1)
        return self.out((weights @ v).transpose(1, 2).reshape(b, t, c))


class Patches(nn.Module):
    def __init__(self):
        super().__init__()
        self.cut = nn.Conv2d(3, 8, 4, 4)
        self.place = nn.Parameter(torch.zeros(1, 4, 8))
        self.block, self.head = Attention(), nn.Linear(8, 5)

    def forward(self, x):
        x = self.cut(x).flatten(2).transpose(1, 2) + self.place
        return self.head(self.block(x)[:, 0])


class Recurrent(nn.Module):
    def __init__(self, kind, **settings):
        super().__init__()
        self.cell, self.head = kind(6, 5, batch_first=True, **settings), nn.Linear(5, 3)

    def forward(self, x):
        return self.head(self.cell(x)[0][:, -1])


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(11, 6), nn.Linear(6, 2)

    def forward(self, x):
        return self.head(self.table(x).mean(1))


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.image, self.facts = nn.Conv2d(3, 4, 3), nn.Linear(5, 4)

    def forward(self, image, facts):
        return self.image(image).mean((2, 3)) * torch.sigmoid(self.facts(facts))


class Outputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 3), nn.Linear(4, 2)

    def forward(self, x):
        return {"a": self.a(x), "b": self.b(x)}


class Down(nn.Module):
    """An encoder, a decoder, and what they share."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 8, 3, padding=1)
        self.up, self.c = nn.ConvTranspose2d(8, 4, 2, 2), nn.Conv2d(8, 2, 3, padding=1)

    def forward(self, x):
        a = functional.relu(self.a(x))
        b = functional.relu(self.b(functional.max_pool2d(a, 2)))
        return self.c(torch.cat([a, self.up(b)], 1)) + functional.interpolate(
            b[:, :2], scale_factor=2
        )


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.map = nn.Linear(6, 6)

    def forward(self, x):
        return self.map(torch.tanh(self.map(x)))


class Mixed(nn.Module):
    """Einsum, a matrix of its own, groups, zeros."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(6, 4))
        self.norm = nn.GroupNorm(2, 6)

    def forward(self, x):
        y = self.norm(x.transpose(1, 2)).transpose(1, 2)
        pairs = torch.einsum("btc,bsc->bts", y, y)
        return (pairs.softmax(-1) @ y) @ self.w + torch.zeros_like(x[..., :4])


def block(c, out, kernel, act):
    return nn.Sequential(
        nn.Conv2d(c, c, kernel, padding=kernel // 2, groups=c, bias=False),
        nn.BatchNorm2d(c),
        act(),
        nn.Conv2d(c, out, 1),
    )


IMAGE = torch.zeros(1, 3, 8, 8)
STEPS = torch.zeros(1, 7, 6)
NETWORKS = {
    "perceptron": (
        nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.ReLU(), nn.Linear(8, 3)),
        IMAGE,
    ),
    "plain": (
        nn.Sequential(
            nn.Conv2d(3, 6, 5, 2, 2),
            nn.ELU(),
            nn.MaxPool2d(2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        ),
        IMAGE,
    ),
    "residual": (nn.Sequential(Residual(3, 8, 2), Residual(8, 8, 1)), IMAGE),
    "dense": (Dense(), IMAGE),
    "squeeze": (Gate(), IMAGE),
    "depthwise": (block(3, 8, 5, nn.ReLU6), IMAGE),
    "grouped": (Shuffle(), IMAGE),
    "attention": (Attention(), torch.zeros(1, 5, 8)),
    "by-hand": (ByHand(), torch.zeros(1, 5, 8)),
    "patches": (Patches(), IMAGE),
    "encoder": (
        nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu"),
        torch.zeros(1, 5, 8),
    ),
    "lstm": (Recurrent(nn.LSTM), STEPS),
    "gru": (Recurrent(nn.GRU, num_layers=2), STEPS),
    "words": (Words(), torch.zeros(1, 7, dtype=torch.int64)),
    "two-inputs": (Two(), (IMAGE, torch.zeros(1, 5))),
    "outputs": (Outputs(), torch.zeros(1, 4)),
    "u-net": (Down(), IMAGE),
    "shared": (Shared(), torch.zeros(1, 6)),
    "mixed": (Mixed(), STEPS),
    "signal": (
        nn.Sequential(
            nn.Conv1d(2, 4, 5, 2, 2), nn.BatchNorm1d(4), nn.SiLU(), nn.AvgPool1d(2), nn.Dropout(0.5)
        ),
        torch.zeros(1, 2, 16),
    ),
    "dilated": (nn.Sequential(nn.Conv2d(3, 4, 3, 1, 2, 2), nn.PReLU(), nn.ZeroPad2d(1)), IMAGE),
}
