"""Flax networks and families of models. Most families are built from the networks.

| family | module |
|---|---|
| autoencoder, denoising, contractive | `autoencoders/autoencoder.py` |
| VAE, conditional, beta-TC, importance-weighted | `autoencoders/vae.py` |
| hierarchical VAE, ladder VAE | `autoencoders/hierarchical_vae.py` |
| VQ-VAE | `autoencoders/vq_vae.py` |
| GAN, conditional, Wasserstein, PacGAN | `gans/gan.py` |
| VAE-GAN | `gans/vae_gan.py` |
| RealNVP, Glow, spline flow, MAF, IAF | `flows/flow.py` |
| MADE, PixelCNN, pixel transformer | `autoregressive/autoregressive.py` |
| language models: n-gram, GRU, transformer | `autoregressive/language_model.py` |
| diffusion, flow matching | `diffusion/diffusion.py` |
| super-resolution by diffusion | `diffusion/super_resolution.py` |
| super-resolution by regression | `supervised/super_resolution_regressor.py` |
| mixtures, naive Bayes | `classical/mixture.py` |
| probabilistic PCA | `classical/ppca.py` |
| Chow-Liu tree | `classical/chow_liu_tree.py` |
| classifier | `supervised/classifier.py` |

`nets/` holds networks and layers that several families use; `shared/` holds observation models and
abilities. A new family is a file or a folder beside these.
"""
