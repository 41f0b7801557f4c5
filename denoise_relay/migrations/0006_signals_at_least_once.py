from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('denoise_relay', '0005_fetchable'),
    ]

    operations = [
        migrations.AddField(
            model_name='job',
            name='signal_lease_until',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='job',
            name='signal_pending',
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(condition=models.Q(('signal_pending', True)), fields=['finished_at'], name='relay_job_signals'),
        ),
    ]
