from django.db import models


class Client(models.Model):
    """The columns of `clientes.Cliente`."""

    nome = models.CharField(max_length=200)
    email = models.EmailField(blank=True)
    telefone = models.CharField(max_length=20, blank=True)
    documento = models.CharField(max_length=14, blank=True)
    empresa = models.CharField(max_length=200, blank=True)
    origem = models.CharField(max_length=100, blank=True)
    etiquetas = models.JSONField(default=list)
    nao_perturbe = models.BooleanField(default=False)
    campos_personalizados = models.JSONField(default=dict)
    observacoes = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [models.Index(fields=["nome"]), models.Index(fields=["telefone"])]

    def __str__(self) -> str:
        return self.nome
